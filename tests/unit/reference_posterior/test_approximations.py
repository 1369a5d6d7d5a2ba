"""Members are stationary points of their objectives; Laplace and dropout against closed forms."""

import numpy as np
import pytest

from peftuq.reference_posterior import approximations
from peftuq.reference_posterior.backend import jax, jnp
from peftuq.reference_posterior.model import Layers, Network, Posterior, probabilities

pytestmark = pytest.mark.slow

D, K, C, R, N = 4, 3, 2, 2, 25
RNG = np.random.default_rng(5)
LAYERS = Layers(RNG.normal(size=(K, D)), RNG.normal(size=K), RNG.normal(size=(C, K)), RNG.normal(size=C))
NETWORK = Network(LAYERS, R, 1.0)
X = RNG.normal(size=(N, D))
POSTERIOR = Posterior(NETWORK, X, (X[:, 0] > 0).astype(int), 0.2)


GRADIENT = jax.jit(jax.grad(POSTERIOR.potential))


def slope(theta, centre=None) -> float:
    return float(np.abs(GRADIENT(theta, np.zeros(NETWORK.size) if centre is None else centre)).max())


def test_members_are_maxima_of_the_posterior_from_their_own_starts():
    members = approximations.map_members(POSTERIOR, range(3))
    starts = [NETWORK.initial(np.random.default_rng(seed)) for seed in range(3)]
    assert all(slope(member) < 1e-3 < slope(start) for member, start in zip(members, starts, strict=True))
    assert not np.allclose(members[0], members[1])
    assert np.array_equal(members[1], approximations.map_members(POSTERIOR, [1])[0])


def test_anchored_members_are_maxima_around_their_anchors():
    member = approximations.anchored_members(POSTERIOR, [7])[0]
    rng = np.random.default_rng(7)
    NETWORK.initial(rng)
    anchor = POSTERIOR.prior_std * rng.normal(size=NETWORK.size)
    assert slope(member, anchor) < 1e-3 < slope(member)


def test_without_data_anchored_members_are_draws_from_the_prior():
    empty = POSTERIOR._replace(x=np.zeros((0, D)), y=np.zeros(0, int))
    members = approximations.anchored_members(empty, range(40))
    assert members.std() == pytest.approx(POSTERIOR.prior_std, rel=0.1)
    assert np.abs(approximations.map_members(empty, [0])).max() < 1e-5


def test_laplace_is_the_hessian_where_the_logits_are_linear():
    """With A fixed at its value, logits are linear in B2: that block is logistic regression's Hessian."""
    theta = RNG.normal(size=NETWORK.size)
    precision = np.linalg.inv(approximations.laplace_covariances(POSTERIOR, theta[None])[0])
    hessian = np.asarray(jax.jit(jax.hessian(POSTERIOR.potential))(theta))
    last = slice(NETWORK.size - C * R, None)
    assert precision[last, last] == pytest.approx(hessian[last, last], rel=1e-8, abs=1e-8)
    others = slice(0, NETWORK.size - C * R)
    assert not np.allclose(precision[others, others], hessian[others, others])
    assert np.linalg.eigvalsh(precision).min() > 2 * POSTERIOR.half_lambda * (1 - 1e-9)


def test_the_linearised_logits_have_the_closed_forms_moments():
    theta = RNG.normal(size=NETWORK.size)
    covariance = approximations.laplace_covariances(POSTERIOR, theta[None])[0]
    probs = approximations.linearised(NETWORK, theta[None], covariance[None], X, 20000, seed=0)[0]
    difference = np.log(probs[..., 1]) - np.log(probs[..., 0])
    f = lambda t: jnp.diff(NETWORK.logits(t, X))[:, 0]  # noqa: E731
    jacobian = np.asarray(jax.jit(jax.jacobian(f))(theta))
    std = np.sqrt(np.einsum("nd,de,ne->n", jacobian, covariance, jacobian))
    assert np.abs(difference.mean(axis=0) - np.asarray(f(theta))).max() < 4 * std.max() / np.sqrt(20000)
    assert difference.std(axis=0) == pytest.approx(std, rel=0.03)


def test_dropout_keeps_the_mean_of_what_the_adapter_reads_and_nothing_else():
    masks = [approximations.dropout_masks(jax.random.key(seed), NETWORK, 500, 0.25) for seed in range(4)]
    for mask, width in ((np.concatenate([m[0] for m in masks]), D), (np.concatenate([m[1] for m in masks]), K)):
        assert mask.shape == (2000, width)
        assert set(np.unique(mask)) == {0.0, 1 / 0.75}
        assert mask.mean() == pytest.approx(1, abs=0.05)
    unadapted = NETWORK.initial(np.random.default_rng(0))  # B = 0: what is dropped feeds nothing
    passes = approximations.dropout_passes(NETWORK, unadapted[None], 0.25, X, 3, seed=0)[0]
    assert passes == pytest.approx(np.repeat(probabilities(NETWORK, unadapted[None], X), 3, axis=0), rel=1e-12)


def test_dropout_passes_differ_and_repeat_with_their_seed():
    theta = RNG.normal(size=NETWORK.size)
    passes = approximations.dropout_passes(NETWORK, theta[None], 0.25, X, 4, seed=0)[0]
    assert np.abs(passes[0] - passes[1]).max() > 1e-3
    assert np.array_equal(passes, approximations.dropout_passes(NETWORK, theta[None], 0.25, X, 4, seed=0)[0])


def test_training_with_dropout_lowers_the_potential():
    start = NETWORK.initial(np.random.default_rng(2))
    trained = approximations.train_with_dropout(POSTERIOR, 0.1, [2])[0]
    lowest = float(POSTERIOR.potential(approximations.map_members(POSTERIOR, [2])[0]))
    reached, begun = float(POSTERIOR.potential(trained)), float(POSTERIOR.potential(start))
    assert lowest < reached < lowest + 0.3 * (begun - lowest)
