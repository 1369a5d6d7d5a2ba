"""Linear probe for P(correct): logistic regression of the adapter's own errors on z, P(error) = σ(wᵀ z + b).

Alain and Bengio (2016); for whether a language model knows its answer, Kadavath et al. (2022), section 5. The L2
penalty ‖w‖² / 2C is chosen from `strengths` values of C, 10⁻⁴ to 10⁴, by `folds`-fold cross-validated likelihood.

Params
  train_on  "valid": answers that the adapter was not trained on, whose errors are like the test set's; or "train".
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegressionCV
from sklearn.model_selection import StratifiedKFold

from peftuq.artifacts import RecordFile
from peftuq.plugins import Score
from peftuq.scores.error_probability import Probe, apply, probe, probed, state

__all__ = ["SCORE", "apply", "fit_state", "score"]

SCORE = Score(
    version=1,
    reads="records",
    needs=["train", "valid", "head"],
    params={"train_on": "valid", "strengths": 9, "folds": 5},
    bounds={"strengths": (1, 1000), "folds": (2, 100)},
    choices={"train_on": ["train", "valid"]},
    variants=["linear_probe"],
    probabilities=["linear_probe"],
)


def _fit(inputs: RecordFile, params: Mapping[str, Any], seed: int) -> tuple[Probe, LogisticRegressionCV]:
    chosen = LogisticRegressionCV(
        Cs=np.logspace(-4, 4, params["strengths"]),
        cv=StratifiedKFold(params["folds"], shuffle=True, random_state=seed),
        scoring="neg_log_loss",
        max_iter=1000,
        l1_ratios=(0.0,),
        use_legacy_attributes=False,
    )
    return probe(inputs, params["train_on"], params["folds"], chosen), chosen


def score(
    inputs: RecordFile, evals: Sequence[str], params: Mapping[str, Any], seed: int
) -> tuple[dict[str, dict[str, np.ndarray]], dict[str, Any]]:
    """P(error) (N,) on every evaluation set; `seed` draws the folds. Diagnostics: those of `probe`, and C."""
    found, chosen = _fit(inputs, params, seed)
    strength = {"strength": float(chosen.C_)} if found.fitted else {}
    return {"linear_probe": probed(inputs, evals, found)}, {**found.diagnostics, **strength}


def fit_state(inputs: RecordFile, params: Mapping[str, Any], seed: int) -> dict[str, dict[str, np.ndarray]]:
    found, chosen = _fit(inputs, params, seed)
    layers = ([chosen.coef_.T], [chosen.intercept_]) if found.fitted else ([], [])
    return {"linear_probe": state(inputs.head, found, *layers)}
