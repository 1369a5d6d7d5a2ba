"""Comparison of several methods over several data sets: Friedman's test, and Nemenyi's critical difference."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import friedmanchisquare, studentized_range


class Friedman(NamedTuple):
    """`p`: the probability of ranks as unequal as these where no method differs from another (χ², k − 1)."""

    statistic: float
    p: float


def friedman(values: np.ndarray) -> Friedman:
    """Test whether k >= 3 methods differ: `values` (N, k), a row each of the N data sets; ties are corrected for.

    Friedman (1937). NaN where all methods are equal on every data set.
    """
    found = friedmanchisquare(*np.asarray(values, dtype=np.float64).T)
    return Friedman(float(found.statistic), float(found.pvalue))


def critical_difference(methods: int, cells: int, alpha: float = 0.05) -> float:
    """The least difference of two mean ranks over `cells` data sets that is significant at `alpha`.

    Demšar (2006), section 3.2.2; the q of Nemenyi's test is the studentised range's over √2.
    """
    q = float(studentized_range.ppf(1 - alpha, methods, math.inf)) / math.sqrt(2)
    return q * math.sqrt(methods * (methods + 1) / (6 * cells))


def groups(ranks: Sequence[float], difference: float) -> list[tuple[int, int]]:
    """The largest runs of `ranks`, which ascend, whose ends differ by less than `difference`: (first, last) of each."""
    found: list[tuple[int, int]] = []
    for first, rank in enumerate(ranks):
        last = max(index for index, other in enumerate(ranks) if other - rank < difference)
        if last > first and (not found or last > found[-1][1]):
            found.append((first, last))
    return found
