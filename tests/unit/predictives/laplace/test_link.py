"""From Gaussian logits to probabilities: against quadrature, and what must not change them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from peftuq.artifacts import softmax
from peftuq.predictives.laplace import link
from peftuq.scores.information import mutual_information

NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(80)
WEIGHTS = WEIGHTS / WEIGHTS.sum()


def gaussians(n: int, classes: int, seed: int = 0, scale: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    half = rng.normal(size=(n, classes, classes)) * scale / np.sqrt(classes)
    return rng.normal(size=(n, classes)) * 2, half @ half.transpose(0, 2, 1)


def quadrature(f_mu: np.ndarray, f_sigma: np.ndarray) -> np.ndarray:
    """E σ(f_0 - f_1) for two options."""
    spread = np.sqrt(f_sigma[:, 0, 0] + f_sigma[:, 1, 1] - 2 * f_sigma[:, 0, 1])
    return expit((f_mu[:, 0] - f_mu[:, 1])[:, None] + spread[:, None] * NODES) @ WEIGHTS


def test_monte_carlo_equals_quadrature_for_two_options():
    f_mu, f_sigma = gaussians(20, 2)
    probs = link.monte_carlo(f_mu, f_sigma, 100_000, 0).mean(axis=0)
    np.testing.assert_allclose(probs[:, 0], quadrature(f_mu, f_sigma), atol=2e-3)


def test_probit_is_close_to_quadrature_and_exactly_mackays_for_two_options():
    f_mu, f_sigma = gaussians(20, 2)
    variance = f_sigma[:, 0, 0] + f_sigma[:, 1, 1] - 2 * f_sigma[:, 0, 1]
    found = link.probit(f_mu, f_sigma)[:, 0]
    np.testing.assert_allclose(found, expit((f_mu[:, 0] - f_mu[:, 1]) / np.sqrt(1 + np.pi / 8 * variance)), rtol=1e-12)
    np.testing.assert_allclose(found, quadrature(f_mu, f_sigma), atol=0.02)


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_the_mean_is_that_of_all_samples(classes):
    """The mean of the very samples that went in, drawn again and averaged one by one."""
    f_mu, f_sigma = gaussians(4, classes)
    root = link.root(f_mu, f_sigma)
    logits = f_mu[:, None] + link.normals(1000, classes - 1, 7) @ root.transpose(0, 2, 1)
    found = link.monte_carlo(f_mu, f_sigma, 1000, 7)
    assert found.shape == (100, 4, classes)
    np.testing.assert_allclose(found.mean(axis=0), softmax(logits).mean(axis=1), rtol=1e-12)


@pytest.mark.parametrize("classes, share", [(2, 0.99), (3, 0.9), (5, 0.7)])
def test_cells_keep_most_of_the_spread(classes, share):
    f_mu, f_sigma = gaussians(30, classes, scale=1.0)
    logits = f_mu[:, None] + link.normals(20_000, classes - 1, 0) @ link.root(f_mu, f_sigma).transpose(0, 2, 1)
    every = mutual_information(softmax(logits).transpose(1, 0, 2))
    kept = mutual_information(link.monte_carlo(f_mu, f_sigma, 20_000, 0))
    assert (kept <= every + 1e-12).all()
    assert kept.sum() > share * every.sum()
    assert np.corrcoef(kept, every)[0, 1] > 0.97


@settings(max_examples=25)
@given(st.integers(0, 1000), st.integers(2, 5), st.floats(-50, 50))
def test_a_shift_of_all_logits_changes_nothing(seed, classes, shift):
    f_mu, f_sigma = gaussians(3, classes, seed)
    common = np.ones((classes, classes)) * abs(shift)
    for link_function in (link.probit, lambda m, s: link.monte_carlo(m, s, 1000, 0).mean(axis=0)):
        np.testing.assert_allclose(
            link_function(f_mu + shift, f_sigma + common), link_function(f_mu, f_sigma), atol=1e-9
        )


def test_without_variance_both_are_the_softmax():
    f_mu = np.array([[1.0, -2.0, 3.0], [0.5, 0.0, -np.inf]])
    zero = np.zeros((2, 3, 3))
    np.testing.assert_allclose(link.probit(f_mu, zero), softmax(f_mu), rtol=1e-12)
    np.testing.assert_allclose(link.monte_carlo(f_mu, zero, 1000, 0).mean(axis=0), softmax(f_mu), rtol=1e-12)


def test_missing_options_stay_at_zero_and_do_not_disturb_the_others():
    f_mu, f_sigma = gaussians(3, 3)
    wide_mu = np.concatenate([f_mu, np.full((3, 1), -np.inf)], axis=1)
    wide_sigma = np.zeros((3, 4, 4))
    wide_sigma[:, :3, :3] = f_sigma
    np.testing.assert_allclose(link.probit(wide_mu, wide_sigma)[:, :3], link.probit(f_mu, f_sigma), rtol=1e-12)
    probs = link.monte_carlo(wide_mu, wide_sigma, 100_000, 0).mean(axis=0)
    assert not probs[:, 3].any()
    np.testing.assert_allclose(probs[:, :3], link.monte_carlo(f_mu, f_sigma, 100_000, 1).mean(axis=0), atol=4e-3)


def test_an_example_depends_on_no_other(monkeypatch):
    f_mu, f_sigma = gaussians(6, 4)
    whole = link.monte_carlo(f_mu, f_sigma, 1000, 3)
    assert np.array_equal(whole[:, 2:3], link.monte_carlo(f_mu[2:3], f_sigma[2:3], 1000, 3))
    monkeypatch.setattr(link, "CHUNK", 1)
    assert np.array_equal(whole, link.monte_carlo(f_mu, f_sigma, 1000, 3))


def test_huge_variances_stay_finite():
    f_mu = np.array([[900.0, -900.0, 0.0]])
    f_sigma = np.eye(3)[None] * 1e8
    for probs in (link.probit(f_mu, f_sigma), link.monte_carlo(f_mu, f_sigma, 1000, 0).mean(axis=0)):
        assert np.isfinite(probs).all()
        np.testing.assert_allclose(probs.sum(axis=1), 1.0)
