"""Vector scaling (Guo et al. 2017, section 4.2): a factor and an offset for each option's logit, softmax(w ⊙ f + b).

Fitted by NLL on the validation part. `limit`: bounds |w| and |b|, which have no optimum where valid is separable.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from peftuq.artifacts import RecordFile, Samples
from peftuq.files import canonical
from peftuq.plugins import Predictive
from peftuq.predictives.linear_scaling import Affine, Options, apply, fit_affine, sampled

__all__ = ["PREDICTIVE", "apply", "fit_state", "predict"]

PREDICTIVE = Predictive(
    version=1,
    reads="records",
    needs=["valid"],
    sized=False,
    samples=False,
    params={"limit": 100.0},
    bounds={"limit": (1, 1e6)},
)


def _fit(record: RecordFile, params: Mapping[str, Any]) -> Affine:
    valid = record["valid"]
    return fit_affine(Options.of(valid.logits), valid.label, True, 0.0, 0.0, params["limit"])


def predict(
    inputs: Sequence[RecordFile], evals: Sequence[str], params: Mapping[str, Any], seed: int, size: int | None
) -> tuple[dict[str, Samples], dict[str, str]]:
    """Samples (M = 1) of one adapter, scaled. Facts: the factors and offsets (C,), as JSON."""
    (record,) = inputs
    fitted = _fit(record, params)
    facts = {"weight": canonical(np.diag(fitted.weight).tolist()), "bias": canonical(fitted.bias.tolist())}
    return sampled(record, evals, fitted.probabilities), facts


def fit_state(inputs: RecordFile, params: Mapping[str, Any], seed: int) -> dict[str, np.ndarray]:
    return _fit(inputs, params)._asdict()
