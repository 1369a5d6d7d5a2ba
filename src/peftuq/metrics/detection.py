"""How well an uncertainty score finds the errors (or tells shifted from in-distribution examples).

`score` (N,) without NaN, higher = more likely wrong; `error` bool (N,), the positives: True = wrong, or
shifted. Examples that tie in `score` are inseparable: they pass a threshold together, so no value depends
on the order of the examples or on a monotone transform of the score. An undefined metric raises
`ArithmeticError` with the reason (evaluate.py makes it None).
"""

import numpy as np


def threshold_counts(score: np.ndarray, error: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positives and negatives at each of the T distinct scores, highest score first: int64 (T,), (T,).

    Raises `ArithmeticError` for no examples or a NaN score.
    """
    if len(score) == 0:
        raise ArithmeticError("there are no examples")
    if missing := np.isnan(score).sum():
        raise ArithmeticError(f"{missing} of {len(score)} scores are NaN")
    _, inverse, counts = np.unique(score, return_inverse=True, return_counts=True)
    positive = np.bincount(inverse, weights=error).astype(np.int64)
    return positive[::-1], (counts - positive)[::-1]


def _both_kinds(score: np.ndarray, error: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    positive, negative = threshold_counts(score, error)
    if not positive.any() or not negative.any():
        raise ArithmeticError("needs a positive and a negative example: an error and a correct prediction")
    return positive, negative


def auroc(score: np.ndarray, error: np.ndarray) -> float:
    """P(score of a positive > score of a negative) + P(equal) / 2, in [0, 1]: the rank-sum statistic.

    Raises `ArithmeticError` without a positive or without a negative.
    """
    positive, negative = _both_kinds(score, error)
    below = negative.sum() - np.cumsum(negative)
    # In integers to the last step: exact, whatever the order of the examples.
    return float((positive * (2 * below + negative)).sum() / (2 * positive.sum() * negative.sum()))


def aupr(score: np.ndarray, error: np.ndarray) -> float:
    """Average precision, sum_t (recall_t - recall_{t-1}) precision_t over thresholds, not the trapezoid
    area, in (0, 1]; a score that knows nothing gets the error rate. Errors are the positives.

    Raises `ArithmeticError` without a positive.
    """
    positive, negative = threshold_counts(score, error)
    if not positive.any():
        raise ArithmeticError("needs a positive example: an error")
    precision = np.cumsum(positive) / np.cumsum(positive + negative)
    return float((positive * precision).sum() / positive.sum())


def fpr95(score: np.ndarray, error: np.ndarray) -> float:
    """Share of the negatives at or above the highest threshold at which at least 95 % of the positives are,
    in [0, 1]; positives are the errors (the shifted examples), no interpolation between thresholds.

    Raises `ArithmeticError` without a positive or without a negative.
    """
    positive, negative = _both_kinds(score, error)
    # In integers, or 0.95 * count could round to just above a whole number and cost one threshold.
    first = np.argmax(100 * np.cumsum(positive) >= 95 * positive.sum())
    return float(np.cumsum(negative)[first] / negative.sum())
