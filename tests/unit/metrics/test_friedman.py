"""Friedman's test and Nemenyi's critical difference against the formula and the table of Demšar (2006)."""

import numpy as np
import pytest
from scipy.stats import chi2

from peftuq.metrics import friedman
from peftuq.metrics.ranks import average_ranks

Q = {2: 1.960, 3: 2.343, 4: 2.569, 5: 2.728, 6: 2.850, 7: 2.949, 8: 3.031, 9: 3.102, 10: 3.164}  # his Table 5, α = 0.05


def test_the_statistic_is_that_of_the_average_ranks():
    """Demšar's formula, for values without ties."""
    values = np.random.default_rng(0).normal(size=(14, 4)) + np.array([0, 0.5, 1, 0])
    names = "abcd"
    ranks = average_ranks({name: dict(enumerate(values[:, i])) for i, name in enumerate(names)}).mean
    expected = 12 * 14 / (4 * 5) * (sum(rank**2 for rank in ranks.values()) - 4 * 25 / 4)
    found = friedman.friedman(values)
    assert found.statistic == pytest.approx(expected)
    assert found.p == pytest.approx(chi2.sf(expected, 3))


@pytest.mark.parametrize("methods", Q)
def test_the_critical_difference_is_the_papers(methods: int):
    assert friedman.critical_difference(methods, 1) == pytest.approx(
        Q[methods] * np.sqrt(methods * (methods + 1) / 6), rel=1e-3
    )
    assert friedman.critical_difference(4, 14) == pytest.approx(1.25, abs=5e-3)


def test_groups_are_the_largest_runs_that_cannot_be_told_apart():
    assert friedman.groups([1.0, 1.9, 2.5, 4.0, 4.2], 1.0) == [(0, 1), (1, 2), (3, 4)]
    assert friedman.groups([1.0, 2.0, 3.0], 1.0) == []
    assert friedman.groups([1.0, 1.2, 1.4], 1.0) == [(0, 2)]
