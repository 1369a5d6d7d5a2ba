"""Laplace-LoRA in closed form: probit approximation in place of logit samples; everything else is `laplace`."""

from collections.abc import Mapping, Sequence
from typing import Any

from peftuq.artifacts import Samples
from peftuq.plugins import Predictive
from peftuq.predictives.laplace.file import LaplaceFile
from peftuq.predictives.laplace.link import probit

PREDICTIVE = Predictive(
    version=1,
    reads="laplace",
    needs=["lora"],
    sized=False,
    samples=False,
)


def predict(
    inputs: Sequence[LaplaceFile], evals: Sequence[str], params: Mapping[str, Any], seed: int, size: int | None
) -> tuple[dict[str, Samples], dict[str, str]]:
    """Samples (M = 1): the approximate mean of the softmax of the logits."""
    (file,) = inputs
    samples = {}
    for part in evals:
        gaussian = file[part]
        samples[part] = Samples(gaussian.id, gaussian.label, probit(gaussian.f_mu, gaussian.f_sigma["marglik"])[None])
    return samples, {"precision": repr(file.facts["precision"]["marglik"])}
