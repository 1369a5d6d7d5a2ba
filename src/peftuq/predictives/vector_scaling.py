"""Vector scaling (Guo et al. 2017, section 4.2): a factor and an offset for each option's logit, softmax(w ⊙ f + b).

Fitted by NLL on the validation part. `limit`: bounds |w| and |b|, which have no optimum where valid is separable.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from peftuq.artifacts import RecordFile, Samples
from peftuq.files import canonical
from peftuq.plugins import Predictive
from peftuq.predictives.linear_scaling import Options, fit_affine, sampled

PREDICTIVE = Predictive(
    version=1,
    reads="records",
    needs=["valid"],
    sized=False,
    samples=False,
    params={"limit": 100.0},
    bounds={"limit": (1, 1e6)},
)


def predict(
    inputs: Sequence[RecordFile], evals: Sequence[str], params: Mapping[str, Any], seed: int, size: int | None
) -> tuple[dict[str, Samples], dict[str, str]]:
    """Samples (M = 1) of one adapter, scaled. Facts: the factors and offsets (C,), as JSON."""
    (record,) = inputs
    valid = record["valid"]
    fitted = fit_affine(Options.of(valid.logits), valid.label, True, 0.0, 0.0, params["limit"])
    facts = {"weight": canonical(np.diag(fitted.weight).tolist()), "bias": canonical(fitted.bias.tolist())}
    return sampled(record, evals, fitted.probabilities), facts
