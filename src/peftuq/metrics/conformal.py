"""Split conformal prediction: sets of options that hold the label with probability >= 1 - alpha.

Calibrated on held-out examples (the valid part); holds for any model as long as these and the test examples
are exchangeable, so not under shift. `probs` (N, C), exactly 0 where an option is missing; such an option is in no set.
Deterministic: no seed, and no value depends on the order of the examples.
"""

import math
from collections.abc import Callable

import numpy as np

Nonconformity = Callable[[np.ndarray], np.ndarray]


def lac(probs: np.ndarray) -> np.ndarray:
    """Least ambiguous classifier (Sadinle et al. 2019): 1 - p of every option, (N, C); missing ones inf."""
    return np.where(probs > 0, 1.0 - probs, np.inf)


def aps(probs: np.ndarray) -> np.ndarray:
    """Adaptive prediction sets, exclusive: mass of the options more probable than each, (N, C); missing ones inf.

    Romano et al. (2020) with the randomisation u fixed at 0: valid like any fixed u, the sets are
    never empty. With u = 1, the other deterministic form, every wrong two-way answer would score 1 and all
    sets would be full as soon as the error rate exceeds alpha.
    """
    more_probable = probs[:, None, :] > probs[:, :, None]
    mass_above = np.where(more_probable, probs[:, None, :], 0.0).sum(axis=2)
    return np.where(probs > 0, mass_above, np.inf)


def aps_inclusive(probs: np.ndarray) -> np.ndarray:
    """Adaptive prediction sets with each option's own mass, (N, C) in (0, 1]; missing ones inf.

    The form of Ye et al. (2024): mass of the options at least as probable (u = 1). Sets may be empty; see `aps`.
    """
    at_least = probs[:, None, :] >= probs[:, :, None]
    mass = np.where(at_least, probs[:, None, :], 0.0).sum(axis=2)
    return np.where(probs > 0, mass, np.inf)


RAPS_PENALTY, RAPS_FREE = 0.1, 1  # an option beyond the first costs a tenth: theirs, 0.01 beyond 5, is for ImageNet


def raps(probs: np.ndarray) -> np.ndarray:
    """Regularised APS (Angelopoulos et al. 2021): `aps` + `RAPS_PENALTY` (rank - `RAPS_FREE`)⁺, (N, C).

    An option's rank is 1 + the number of more probable ones: equally probable options share one. Missing ones inf.
    """
    rank = 1 + (probs[:, None, :] > probs[:, :, None]).sum(axis=2)
    return aps(probs) + RAPS_PENALTY * np.maximum(rank - RAPS_FREE, 0)


def threshold(scores: np.ndarray, alpha: float = 0.1) -> float:
    """The k-th smallest of n calibration scores, k = ceil((n + 1)(1 - alpha)); inf when k > n.

    The finite-sample quantile of split conformal prediction (Vovk et al. 2005; Angelopoulos & Bates 2021).
    Raises `ArithmeticError` when there are none.
    """
    if len(scores) == 0:
        raise ArithmeticError("there are no calibration examples")
    # Rounded first: 100 * (1 - 0.45) is 55.00000000000001, and not to be the 56th.
    k = math.ceil(round((len(scores) + 1) * (1 - alpha), 9))
    return float(np.sort(scores)[k - 1]) if k <= len(scores) else math.inf


def prediction_sets(
    nonconformity: Nonconformity,
    calibration: tuple[np.ndarray, np.ndarray],
    probs: np.ndarray,
    alpha: float = 0.1,
) -> np.ndarray:
    """Sets for the rows of `probs`, bool (N, C), from `calibration` = (probs (n, C), label (n,))."""
    held_out, label = calibration
    limit = threshold(nonconformity(held_out)[np.arange(len(label)), label], alpha)
    scores = nonconformity(probs)
    return (scores <= limit) & np.isfinite(scores)


def coverage(sets: np.ndarray, label: np.ndarray) -> float:
    """Share of examples whose set holds the label, in [0, 1]."""
    return float(sets[np.arange(len(label)), label].mean())


def mean_set_size(sets: np.ndarray) -> float:
    """Mean number of options in a set, in [0, C]."""
    return float(sets.sum(axis=1).mean())


def uacc(sets: np.ndarray, accuracy: float) -> float:
    """Uncertainty-aware accuracy (Ye et al. 2024): `accuracy` / mean set size · √C, >= 0.

    Raises `ArithmeticError` where every set is empty.
    """
    return accuracy / mean_set_size(sets) * math.sqrt(sets.shape[1])
