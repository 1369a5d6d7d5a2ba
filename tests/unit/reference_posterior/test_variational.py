"""SWAG's Gaussian against the covariance of its iterates, IVON's against the best diagonal one of a Gaussian."""

import numpy as np
import pytest

from peftuq.reference_posterior import variational
from peftuq.reference_posterior.backend import jnp

pytestmark = pytest.mark.slow


def test_ivon_finds_the_mean_and_the_inverse_precisions_of_a_gaussian():
    """Of precision P the diagonal Gaussian nearest by KL(q ‖ p) has the variances 1 / P_ii, not P⁻¹'s."""
    hessian = np.array([[30.0, 10.0, 0.0], [10.0, 20.0, 0.0], [0.0, 0.0, 2.0]])
    centre = np.array([1.0, -1.0, 2.0])
    starts = np.zeros((8, 3))

    def misfit(theta):
        return 0.5 * (theta - centre) @ jnp.asarray(hessian) @ (theta - centre)

    found = variational.variational(misfit, 0.5, 10, starts, range(8))
    precision = hessian + np.eye(3)
    mean, std = (np.mean([getattr(one, name) for one in found], axis=0) for name in ("mean", "std"))
    assert mean == pytest.approx(np.linalg.solve(precision, hessian @ centre), abs=0.03)
    assert std == pytest.approx(1 / np.sqrt(np.diag(precision)), rel=0.06)
    draws = found[0].draw(20_000, 0)
    assert draws.std(axis=0) == pytest.approx(found[0].std, rel=0.03)


def test_swags_covariance_is_half_diagonal_and_half_that_of_the_deviations():
    rng = np.random.default_rng(0)
    root = np.array([[1.0, 0.0], [0.8, 0.6]])
    iterates = np.array([3.0, -1.0]) + rng.normal(size=(400, 2)) @ root.T
    draws = variational.collected(iterates, 400).draw(40_000, 1)
    covariance = np.cov(draws.T)
    assert draws.mean(axis=0) == pytest.approx([3, -1], abs=0.1)
    assert np.diag(covariance) == pytest.approx([1, 1], rel=0.15)
    assert covariance[0, 1] == pytest.approx(0.4, rel=0.2)  # the diagonal half has none
