import math

import numpy as np
import pytest
from scipy.stats import binom

from peftuq.metrics.risk_control import answer_threshold, answered, answered_error

DRAWS, N = 1500, 500


def rising(score):
    return 0.3 * score


def falling(score):
    """Confident and wrong: the error rate among the answered falls as more are answered."""
    return np.where(score < 0.2, 0.2, 0.02)


def everywhere_too_high(score):
    return np.full_like(score, 0.101)


def error_rate(chance, limit):
    """Of a population whose score is uniform in [0, 1], among what is below the limit; 0 of nothing."""
    grid = (np.arange(20_000) + 0.5) / 20_000
    below = grid < limit
    return chance(grid[below]).mean() if below.any() else 0.0


def limits(chance):
    rng = np.random.default_rng(0)
    for _ in range(DRAWS):
        score = rng.random(N)
        yield score, rng.random(N) < chance(score)


@pytest.mark.parametrize(("chance", "used"), [(rising, 0.2), (falling, 0.8), (everywhere_too_high, 0.0)])
def test_the_error_rate_among_the_answered_is_bounded_in_nine_of_ten_draws(chance, used):
    found = np.array([answer_threshold(score, error) for score, error in limits(chance)])
    rates = np.array([error_rate(chance, limit) for limit in np.unique(found)])[
        np.unique(found, return_inverse=True)[1]
    ]
    assert np.mean(rates > 0.1) <= 0.1
    assert np.mean(found.clip(0, 1)) >= used  # a bound by silence would be none


def test_the_rate_that_is_seen_bounds_nothing():
    """The largest threshold whose observed error rate is at most alpha: what the test corrects for."""
    broken = []
    for score, error in limits(everywhere_too_high):
        order = np.argsort(score)
        broken.append((np.cumsum(error[order]) / np.arange(1, N + 1) <= 0.1).any())
    assert np.mean(broken) > 0.9


def test_the_threshold_is_the_laxest_that_passes_a_binomial_test():
    rng = np.random.default_rng(1)
    score = rng.permutation(1000) / 1000
    error = rng.random(1000) < 0.25 * score
    passing = [n for n in range(100, 1001, 100) if binom.cdf(error[score < n / 1000].sum(), n, 0.1) <= 0.1 / 10]
    assert 100 < max(passing) < 1000
    assert answer_threshold(score, error) == answered(score, max(passing) / 1000) == max(passing) / 1000


def test_all_is_answered_where_nothing_is_wrong_and_nothing_where_all_is():
    score, right = np.linspace(0, 1, 100), np.zeros(100, dtype=bool)
    assert answer_threshold(score, right) == math.inf
    assert answer_threshold(score, ~right) == -math.inf
    assert answered(score, -math.inf) == 0.0 and answered_error(score, ~right, math.inf) == 1.0
    assert answered_error(score, ~right, -math.inf) == 0.0
    with pytest.raises(ArithmeticError):
        answer_threshold(score[:0], right[:0])


def test_tied_examples_are_answered_together():
    score = np.repeat([0.1, 0.5], [80, 20])
    error = score > 0.4
    assert answer_threshold(score, error) == 0.5
    assert answered(score, 0.5) == 0.8 and answered_error(score, error, 0.5) == 0.0
