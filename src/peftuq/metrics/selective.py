"""Selective prediction, answers only where the score is low: risk-coverage curves and their areas.

`score` (N,), higher = more likely wrong; `error` bool (N,). Examples are accepted from the lowest score up.
Among examples tied in score every order is equally likely and the curve is the EXPECTATION over these
orders, in closed form: when k of a tie group of n with w errors are accepted, k w / n errors are expected.
So no value depends on the order of the examples. No examples or a NaN score raise `ArithmeticError`.
"""

import numpy as np

from peftuq.metrics.detection import threshold_counts


def risk_coverage(score: np.ndarray, error: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coverage n/N and risk (expected error rate among the n lowest scores) for n = 1..N: (N,), (N,)."""
    wrong, right = (counts[::-1] for counts in threshold_counts(score, error))
    accepted = np.arange(1, len(score) + 1)
    ends = np.concatenate([[0], np.cumsum(wrong + right)])
    errors = np.interp(accepted, ends, np.concatenate([[0], np.cumsum(wrong)]))
    return accepted / len(score), errors / accepted


def aurc(score: np.ndarray, error: np.ndarray) -> float:
    """Mean of the risk over the N coverages 1/N..1, in [0, 1] (Geifman et al. 2019)."""
    return float(risk_coverage(score, error)[1].mean())


def _optimal_aurc(error: np.ndarray) -> float:
    """AURC of a score that puts every correct prediction before every error."""
    return aurc(error, error)


def eaurc(score: np.ndarray, error: np.ndarray) -> float:
    """AURC minus the AURC of the optimal score for the same errors, in [0, 1).

    The optimum is the exact finite-sample one, not the approximation r + (1-r) log(1-r) of Geifman et al.
    (2019), under which a perfect score would not get 0.
    """
    return aurc(score, error) - _optimal_aurc(np.asarray(error, dtype=bool))


def augrc(score: np.ndarray, error: np.ndarray) -> float:
    """Area under the generalised risk-coverage curve (Traub et al. 2024), in [0, 1/2].

    Generalised risk at coverage n/N: errors among the n accepted over N, the share of all answers that are wrong and
    not caught. Trapezoids from coverage 0 give (1 - AUROC) a (1 - a) + (1 - a)² / 2, a the accuracy.
    """
    coverage, risk = risk_coverage(score, error)
    return float((coverage * risk).mean() - risk[-1] / (2 * len(risk)))


def risk_at_coverage(score: np.ndarray, error: np.ndarray, coverage: float) -> float:
    """Expected error rate among the ceil(coverage N) examples with the lowest scores, in [0, 1]."""
    risk = risk_coverage(score, error)[1]
    # Rounded first: 0.55 * 100 is 55.00000000000001, and not to be 56 examples.
    return float(risk[int(np.ceil(round(coverage * len(risk), 6))) - 1])


def accuracy_at_coverage(score: np.ndarray, error: np.ndarray, coverage: float) -> float:
    """Expected accuracy among the ceil(coverage N) examples with the lowest scores, in [0, 1]."""
    return 1.0 - risk_at_coverage(score, error, coverage)


def prr(score: np.ndarray, error: np.ndarray) -> float:
    """Prediction rejection ratio: 1 for the optimal score (the most), 0 for a random one, < 0 for worse.

    Area between the score's rejection curve and the random one over that between the oracle's and the random
    one, the curve being the accuracy of the predictions kept, over all rejection rates (lm-polygraph's
    `prr`; its random curve is taken at its expectation): (r - AURC) / (r - optimal AURC), r the error rate.
    Malinin et al. (2020) instead count a rejected error as mended, over all N; for 0/1 errors that ratio
    is 2 AUROC - 1 and would tell nothing new.

    Raises `ArithmeticError` without an error or without a correct prediction.
    """
    error = np.asarray(error, dtype=bool)
    if error.all() or not error.any():
        raise ArithmeticError("needs an error and a correct prediction")
    return float((error.mean() - aurc(score, error)) / (error.mean() - _optimal_aurc(error)))
