"""Isotonic regression, one option against the rest, renormalised (Zadrozny and Elkan 2002).

For each option the monotone function of its probability that fits best, by squares, whether it is the label; fitted on
the n examples of the validation part that have the option, with values between 1 / (n + 2) and (n + 1) / (n + 2)
(Laplace's rule of succession). Without these limits an option that valid never saw right would have probability 0,
as a missing one, and one such label an infinite NLL.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.isotonic import IsotonicRegression

from peftuq.artifacts import RecordFile, Samples, softmax
from peftuq.plugins import Predictive

PREDICTIVE = Predictive(
    version=1,
    reads="records",
    needs=["valid"],
    sized=False,
    samples=False,
)


def fit(logits: np.ndarray, label: np.ndarray) -> list[IsotonicRegression | None]:
    """A function of the probability of each of C options, from `logits` (N, C) and `label` (N,); None where no example
    has the option."""
    probs, exists = softmax(logits), ~np.isneginf(logits)
    functions: list[IsotonicRegression | None] = []
    for c in range(logits.shape[1]):
        rows = exists[:, c]
        least = 1 / (rows.sum() + 2)
        regression = IsotonicRegression(y_min=least, y_max=1 - least, out_of_bounds="clip")
        functions.append(regression.fit(probs[rows, c], label[rows] == c) if rows.any() else None)
    return functions


def calibrate(functions: Sequence[IsotonicRegression | None], logits: np.ndarray) -> np.ndarray:
    """Probabilities (N, C) of `logits` (N, C), 0 where an option is missing; an option without a function keeps its."""
    probs = softmax(logits)
    values = [f.predict(probs[:, c]) if f is not None else probs[:, c] for c, f in enumerate(functions)]
    kept = np.where(np.isneginf(logits), 0.0, np.stack(values, axis=1))
    return kept / kept.sum(axis=1, keepdims=True)


def predict(
    inputs: Sequence[RecordFile], evals: Sequence[str], params: Mapping[str, Any], seed: int, size: int | None
) -> tuple[dict[str, Samples], dict[str, str]]:
    """Samples (M = 1) of one adapter, calibrated."""
    (record,) = inputs
    functions = fit(record["valid"].logits, record["valid"].label)
    samples = {}
    for part in evals:
        of = record[part]
        samples[part] = Samples(of.id, of.label, calibrate(functions, of.logits)[None])
    return samples, {}


def fit_state(inputs: RecordFile, params: Mapping[str, Any], seed: int) -> dict[str, np.ndarray]:
    functions = fit(inputs["valid"].logits, inputs["valid"].label)
    same = np.array([0.0, 1.0])  # of an option that no example had: its probability stays
    knots = [(f.X_thresholds_, f.y_thresholds_) if f is not None else (same, same) for f in functions]
    return {f"{axis}_{c}": np.asarray(pair[i]) for c, pair in enumerate(knots) for i, axis in enumerate("xy")}


def apply(state: Mapping[str, np.ndarray], logits: np.ndarray) -> np.ndarray:
    p = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    values = [np.interp(p[:, c], state[f"x_{c}"], state[f"y_{c}"]) for c in range(p.shape[1])]
    kept = np.where(np.isneginf(logits), 0.0, np.stack(values, axis=1))
    return kept / kept.sum(axis=1, keepdims=True)
