"""Abstention with a guarantee: answer so that the error rate among the answers is at most alpha, with high confidence.

Angelopoulos et al. (2021), Learn then Test, for selective classification: the error rate among the answered does not
fall with the threshold, so that conformal risk control (Angelopoulos et al. 2022), which bounds the mean of a monotone
loss, does not apply. A threshold is the score of a calibration example of a rank fixed beforehand: given it, the
examples below are independent draws of those that would be answered, and their errors binomial. Of J such thresholds
those whose error rate can be told to be at most alpha are found by a Bonferroni test; the one that answers most is
used. Valid for any score that was not fitted on the calibration examples, if these and the test examples are
exchangeable.

`score` (N,), higher = more likely wrong; `error` bool (N,). Deterministic; the order of the examples does not matter.
"""

import math

import numpy as np

ALPHA, DELTA = 0.1, 0.1  # error rate among the answered, and the probability that it is higher all the same
COVERAGES = 10  # J: thresholds are tried that would answer 1/J, 2/J, … of the calibration examples


def answer_threshold(score: np.ndarray, error: np.ndarray, alpha: float = ALPHA, delta: float = DELTA) -> float:
    """The threshold below which examples are answered: inf answers all, -inf none.

    P(error rate among the answered > `alpha`) <= `delta` over draws of the calibration examples. Raises
    `ArithmeticError` when there are none.
    """
    from scipy.special import bdtr

    n = len(score)
    if n == 0:
        raise ArithmeticError("there are no calibration examples")
    ordered = np.sort(score)
    for step in range(COVERAGES, 0, -1):
        rank = math.floor(n * step / COVERAGES)
        limit = math.inf if rank == n else float(ordered[rank])
        below = score < limit
        # Rejects "the error rate below the limit is above alpha": P(at most so many errors | alpha) is small.
        if bdtr(error[below].sum(), below.sum(), alpha) <= delta / COVERAGES:
            return limit
    return -math.inf


def answered(score: np.ndarray, limit: float) -> float:
    """Share of examples that are answered, in [0, 1]."""
    return float((score < limit).mean())


def answered_error(score: np.ndarray, error: np.ndarray, limit: float) -> float:
    """Errors among the answered over their number, in [0, 1]; 0 where none is answered (as for false discoveries)."""
    below = score < limit
    return float(error[below].sum() / max(below.sum(), 1))
