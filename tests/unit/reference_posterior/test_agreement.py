"""Total variation by brute force over all sets of classes; what is undefined is said to be."""

from itertools import chain, combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from peftuq.reference_posterior.agreement import agreement, total_variation


@given(st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_total_variation_is_the_largest_difference_over_all_sets_of_classes(classes, seed):
    rng = np.random.default_rng(seed)
    p, q = rng.dirichlet(np.ones(classes), size=(2, 3))
    sets = chain.from_iterable(combinations(range(classes), size) for size in range(classes + 1))
    brute = np.max([np.abs(p[:, list(s)].sum(axis=1) - q[:, list(s)].sum(axis=1)) for s in sets], axis=0)
    assert total_variation(p, q) == pytest.approx(brute, abs=1e-12)


def test_of_the_exact_posterior_with_itself():
    rng = np.random.default_rng(0)
    probs, mi = rng.dirichlet(np.ones(3), size=50), rng.uniform(size=50)
    found = agreement(probs, mi, probs, mi)
    assert found == pytest.approx((0, 0, 1, 1, 1))


def test_means_quantiles_and_correlations():
    rng = np.random.default_rng(1)
    p = np.linspace(0, 1, 101)
    exact, own = np.stack([p, 1 - p], axis=1), np.full((101, 2), 0.5)
    mi = rng.uniform(size=101)
    found = agreement(own, 2 * mi**3, exact, mi)
    assert found.tv == pytest.approx(np.abs(p - 0.5).mean())
    assert found.tv_95 == pytest.approx(np.quantile(np.abs(p - 0.5), 0.95))
    assert found.mi_ratio == pytest.approx((2 * mi**3).mean() / mi.mean())
    assert found.spearman == pytest.approx(1) and found.pearson == pytest.approx(np.corrcoef(mi**3, mi)[0, 1])


def test_a_single_member_has_no_correlation():
    rng = np.random.default_rng(2)
    probs, mi = rng.dirichlet(np.ones(2), size=20), rng.uniform(size=20)
    found = agreement(probs, np.zeros(20), probs, mi)
    assert (found.mi_ratio, found.pearson, found.spearman) == (0, None, None)
