"""The sampler against a posterior in closed form, and its diagnostics against chains made to fail."""

import numpy as np
import pytest

from peftuq.reference_posterior import nuts
from peftuq.reference_posterior.backend import jnp

pytestmark = pytest.mark.slow

RNG = np.random.default_rng(0)
X = RNG.normal(size=(30, 3)) * [1.0, 2.0, 0.3]
Y = X @ [0.5, -1.0, 2.0] + 0.5 * RNG.normal(size=30)
NOISE, HALF_LAMBDA = 0.5, 1.0


def potential(theta):
    """Potential of linear regression with Gaussian noise and the prior N(0, 1/(2 half_lambda))."""
    return ((Y - jnp.asarray(X) @ theta) ** 2).sum() / (2 * NOISE**2) + HALF_LAMBDA * (theta**2).sum()


@pytest.fixture(scope="module")
def draws() -> nuts.Draws:
    starts = np.random.default_rng(1).normal(size=(4, 3))
    return nuts.sample(potential, starts, warmup=200, draws=400, seed=0)


def test_agrees_with_the_conjugate_posterior(draws):
    covariance = np.linalg.inv(X.T @ X / NOISE**2 + 2 * HALF_LAMBDA * np.eye(3))
    mean = covariance @ X.T @ Y / NOISE**2
    found = draws.values.reshape(-1, 3)
    std = np.sqrt(np.diag(covariance))
    mixed = nuts.mixing(draws.values)
    assert np.abs(found.mean(axis=0) - mean).max() < 4 * (std / np.sqrt(mixed.ess)).max()
    assert np.cov(found, rowvar=False) == pytest.approx(covariance, abs=0.12 * std.max() ** 2)
    assert draws.divergences == 0
    assert mixed.rhat < 1.02
    assert mixed.error == pytest.approx((std / np.sqrt(mixed.ess)).mean(), rel=0.5)


def test_same_seed_same_draws(draws):
    starts = np.random.default_rng(1).normal(size=(4, 3))
    again = nuts.sample(potential, starts, warmup=200, draws=400, seed=0)
    assert np.array_equal(draws.values, again.values)


def test_a_chain_in_another_mode_shows(draws):
    apart = draws.values.copy()
    apart[0] += 5
    assert nuts.mixing(apart).rhat > 1.5
