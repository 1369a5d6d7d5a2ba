"""Matrix scaling with off-diagonal and intercept regularisation, softmax(W f + b) (Kull et al. 2019, MS-ODIR).

Minimises NLL + λ · mean_{i≠j} w_ij² + μ · mean_j b_j² on the validation part; without it (Guo et al. 2017) the C² + C
numbers overfit. λ = μ is the one of `strengths` with the least cross-validated NLL over `folds` parts of valid, then
fitted to all of it. `limit`: as for vector scaling.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from peftuq.artifacts import RecordFile, Samples
from peftuq.plugins import Predictive
from peftuq.predictives.linear_scaling import Affine, Options, apply, fit_affine, sampled

__all__ = ["PREDICTIVE", "apply", "fit_state", "predict"]

PREDICTIVE = Predictive(
    version=1,
    reads="records",
    needs=["valid"],
    sized=False,
    samples=False,
    params={"strengths": [1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0], "folds": 5, "limit": 100.0},
    bounds={"strengths": (0, 1e6), "folds": (2, 100), "limit": (1, 1e6)},
)


def cross_validated(
    options: Options, label: np.ndarray, strengths: Sequence[float], folds: int, limit: float, seed: int
) -> np.ndarray:
    """Mean NLL (S,) of held-out examples by strength; `seed` draws the folds, at most as many as examples."""
    fold = np.random.default_rng(seed).permutation(len(label)) % min(folds, len(label))
    values = np.zeros(len(strengths))
    for held in range(fold.max() + 1):
        inside, outside = fold != held, fold == held
        for index, strength in enumerate(strengths):
            fitted = fit_affine(options.of_rows(inside), label[inside], False, strength, strength, limit)
            values[index] += fitted.nll(options.of_rows(outside), label[outside]) * outside.sum()
    return values / len(label)


def _fit(record: RecordFile, params: Mapping[str, Any], seed: int) -> tuple[Affine, float]:
    valid, strengths = record["valid"], params["strengths"]
    options = Options.of(valid.logits)
    nll = cross_validated(options, valid.label, strengths, params["folds"], params["limit"], seed)
    strength = strengths[int(nll.argmin())]
    return fit_affine(options, valid.label, False, strength, strength, params["limit"]), strength


def predict(
    inputs: Sequence[RecordFile], evals: Sequence[str], params: Mapping[str, Any], seed: int, size: int | None
) -> tuple[dict[str, Samples], dict[str, str]]:
    """Samples (M = 1) of one adapter, scaled. Facts: the strength that was chosen."""
    (record,) = inputs
    fitted, strength = _fit(record, params, seed)
    return sampled(record, evals, fitted.probabilities), {"strength": repr(strength)}


def fit_state(inputs: RecordFile, params: Mapping[str, Any], seed: int) -> dict[str, np.ndarray]:
    return _fit(inputs, params, seed)[0]._asdict()
