"""Laplace-LoRA (Yang et al. 2024): the adapter's Gaussian posterior, linearised, prior by marginal likelihood.

The fit is shared with `laplace_probit` and `laplace_valid`, and its parameters are set here for all three.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from peftuq.artifacts import Samples
from peftuq.plugins import Predictive
from peftuq.predictives.laplace.file import LaplaceFile
from peftuq.predictives.laplace.link import monte_carlo

PREDICTIVE = Predictive(
    version=1,
    reads="laplace",
    needs=["lora"],
    sized=False,
    samples=True,
    params={
        "draws": 100_000,  # logit samples an example; what is kept of them are the means of 100 equal cells
        # -- of the fit, shared by all predictives that read it
        "positions": "all",  # tokens that the Kronecker factors are taken over; "read": the one that is read
        "head": "excluded",  # a classification head's weights have no posterior (the paper); or "included"
        "rank": 10,  # eigenvectors kept of a wide Kronecker factor (the paper)
        "exact_below": 512,  # narrower factors keep them all
        "batch_tokens": 2048,  # at most, padding included: the graph of a 7B model with its hooks takes 12 MB a token
        "grid": (-3.0, 4.0, 29),  # prior precisions tried on the validation set: log10 of the ends, and how many
    },
    bounds={
        "draws": (100, 10_000_000),
        "rank": (1, 10_000),
        "exact_below": (1, 100_000),
        "batch_tokens": (1, None),
        "grid": [(-20, 20), (-20, 20), (1, 1000)],
    },
    choices={"positions": ["all", "read"], "head": ["excluded", "included"]},
    fit=["positions", "head", "rank", "exact_below", "batch_tokens", "grid"],
)


def predict(
    inputs: Sequence[LaplaceFile], evals: Sequence[str], params: Mapping[str, Any], seed: int, size: int | None
) -> tuple[dict[str, Samples], dict[str, str]]:
    """Samples (M = 100) whose mean is that of `draws` samples of the correlated logits."""
    return sampled(inputs, evals, "marglik", params["draws"], seed)


def sampled(
    inputs: Sequence[LaplaceFile], evals: Sequence[str], prior: str, draws: int, seed: int
) -> tuple[dict[str, Samples], dict[str, str]]:
    (file,) = inputs
    samples = {}
    for part in evals:
        gaussian = file[part]
        samples[part] = Samples(
            gaussian.id, gaussian.label, monte_carlo(gaussian.f_mu, gaussian.f_sigma[prior], draws, seed)
        )
    return samples, {"precision": repr(file.facts["precision"][prior])}
