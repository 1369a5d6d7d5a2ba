"""Laplace-LoRA with the prior precision of smallest validation NLL; everything else is `laplace`."""

from collections.abc import Mapping, Sequence
from typing import Any

from peftuq.artifacts import Samples
from peftuq.plugins import Predictive
from peftuq.predictives.laplace.file import LaplaceFile
from peftuq.predictives.laplace.method import sampled

PREDICTIVE = Predictive(
    version=1,
    reads="laplace",
    needs=["lora", "valid"],
    sized=False,
    samples=True,
    params={"draws": 100_000},
    bounds={"draws": (100, 10_000_000)},
)


def predict(
    inputs: Sequence[LaplaceFile], evals: Sequence[str], params: Mapping[str, Any], seed: int, size: int | None
) -> tuple[dict[str, Samples], dict[str, str]]:
    """Samples (M = 100) whose mean is that of `draws` samples of the correlated logits."""
    return sampled(inputs, evals, "valid", params["draws"], seed)
