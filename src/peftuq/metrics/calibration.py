"""Is a prediction right, and does it know how often? Accuracy, proper scores, calibration errors.

`probs` is (N, C), rows summing to 1, exactly 0 where a question lacks an option; `label` int (N,) in [0, C);
`confidence` (N,) in [0, 1]; `correct` bool (N,). Every value is over all N >= 1 examples, each weighted 1/N;
no NaN among the inputs (evaluate.py sees to both). No value depends on the order of the examples.
"""

from typing import NamedTuple

import numpy as np

# Probabilities below this are taken as this, so that one confident error cannot make the mean infinite:
# float64 machine epsilon (at most 36.04 nats an example), as in scikit-learn's log_loss.
NLL_EPS = float(np.finfo(np.float64).eps)


def accuracy(probs: np.ndarray, label: np.ndarray) -> float:
    """Share of examples whose arg-max is the label, in [0, 1]."""
    return float(np.mean(probs.argmax(axis=1) == label))


def nll(probs: np.ndarray, label: np.ndarray) -> float:
    """Mean over examples of -log p(label), in nats, in [0, -log NLL_EPS]; p is clipped to [NLL_EPS, 1]."""
    of_label = probs[np.arange(len(label)), label].astype(np.float64)
    return float(-np.log(np.clip(of_label, NLL_EPS, 1.0)).mean())


def brier(probs: np.ndarray, label: np.ndarray) -> float:
    """Mean over examples of the squared distance to the one-hot label, SUMMED over classes: in [0, 2].

    Brier (1950). For two classes this is twice the mean of (p(1) - y)^2.
    """
    distance = probs.astype(np.float64)
    distance[np.arange(len(label)), label] -= 1.0
    return float((distance**2).sum(axis=1).mean())


class ReliabilityBins(NamedTuple):
    """The non-empty bins, arrays of equal length: `lower` edge, `count` of examples (sums to N), mean
    `confidence` and `accuracy` of the examples in the bin."""

    lower: np.ndarray
    count: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray


def reliability_bins(confidence: np.ndarray, correct: np.ndarray, bins: int = 15) -> ReliabilityBins:
    """Equal-width bins ((b-1)/bins, b/bins], b = 1..bins (Guo et al. 2017, section 2); 0 is in the first."""
    # Inner edges only, so that nothing is outside: 0 (and -1e-17) falls in the first bin, 1 (and 1 + 2e-16)
    # in the last. Quotients round 3/15 to the same float as a confidence of 1/5.
    index = np.searchsorted(np.arange(1, bins) / bins, confidence, side="left")
    count = np.bincount(index, minlength=bins)
    some = np.flatnonzero(count)
    mean_confidence = np.bincount(index, weights=confidence, minlength=bins)[some] / count[some]
    mean_accuracy = np.bincount(index, weights=correct, minlength=bins)[some] / count[some]
    return ReliabilityBins(some / bins, count[some], mean_confidence, mean_accuracy)


def ece(confidence: np.ndarray, correct: np.ndarray, bins: int = 15) -> float:
    """Expected calibration error in [0, 1]: sum_b count_b / N |accuracy_b - confidence_b| over
    `reliability_bins` (Guo et al. 2017, eq. 3; UQ4CT eq. 18)."""
    filled = reliability_bins(confidence, correct, bins)
    return float(np.sum(filled.count * np.abs(filled.accuracy - filled.confidence)) / len(confidence))


def adaptive_ece(confidence: np.ndarray, correct: np.ndarray, bins: int = 15) -> float:
    """ECE over bins of equal mass (Nixon et al. 2019) in [0, 1]: bin b holds the sorted examples from
    floor(N (b-1)/bins) to floor(N b/bins). Examples tied in confidence share their mean accuracy, so a bin
    edge that falls among them does not depend on the order of the examples."""
    values, inverse, counts = np.unique(confidence, return_inverse=True, return_counts=True)
    gap = values - np.bincount(inverse, weights=correct) / counts
    cumulative = np.concatenate([[0.0], np.cumsum(np.repeat(gap, counts))])
    edges = len(confidence) * np.arange(bins + 1) // bins
    return float(np.abs(np.diff(cumulative[edges])).sum() / len(confidence))


def classwise_ece(probs: np.ndarray, label: np.ndarray, bins: int = 15) -> float:
    """Mean over the C classes of the ECE of p(c) against [label = c], in [0, 1] (Kull et al. 2019).

    An example without option c has p(c) = 0 and never that label: it adds nothing to the gaps of class c,
    but counts in N.
    """
    classes = range(probs.shape[1])
    return float(np.mean([ece(probs[:, c], label == c, bins) for c in classes]))
