"""Approximations that a large model can afford, on the small one: MAP members, Laplace, dropout."""

from collections.abc import Sequence
from functools import partial

import numpy as np

from peftuq.reference_posterior.backend import jax, jnp
from peftuq.reference_posterior.model import Network, Posterior
from peftuq.reference_posterior.optimise import descend, minimiser

ADAM_STEPS, ADAM_RATE = 3000, 0.005  # dropout's noise forbids L-BFGS


def map_members(posterior: Posterior, seeds: Sequence[int]) -> np.ndarray:
    """(M, D): the maxima of the posterior that are found from each seed's LoRA initialisation."""
    return _members(posterior, seeds, 0.0)


def anchored_members(posterior: Posterior, seeds: Sequence[int]) -> np.ndarray:
    """(M, D): as `map_members`, each under a prior centred on its own draw from the prior (Pearce et al. 2020)."""
    return _members(posterior, seeds, posterior.prior_std)


def _members(posterior: Posterior, seeds: Sequence[int], anchor_std: float) -> np.ndarray:
    minimise, members = minimiser(posterior.potential), []
    for seed in seeds:
        rng = np.random.default_rng(seed)
        start = posterior.network.initial(rng)
        members.append(minimise(start, anchor_std * rng.normal(size=start.shape)))
    return np.stack(members)


def laplace_covariances(posterior: Posterior, thetas: np.ndarray) -> np.ndarray:
    """(R, D, D): inverse of the generalised Gauss-Newton matrix Σ JᵀΛJ plus the prior's precision 2·half_lambda, at
    each of `thetas` (R, D).

    The full Hessian is singular along the rotations that leave BA and the prior unchanged, and indefinite off the
    maximum; this one is neither (Daxberger et al. 2021).
    """

    @jax.jit
    def curvature(theta):
        logits = partial(posterior.network.logits, x=posterior.x)
        jacobian, p = jax.jacobian(logits)(theta), jax.nn.softmax(logits(theta))  # (N, C, D), (N, C)
        of_loss = p[:, :, None] * jnp.eye(p.shape[1]) - p[:, :, None] * p[:, None, :]
        return jnp.einsum("nci,ncd,ndj->ij", jacobian, of_loss, jacobian)

    prior = 2 * posterior.half_lambda * np.eye(posterior.network.size)
    return np.linalg.inv(np.stack([np.asarray(curvature(theta)) for theta in thetas]) + prior)


def linearised(
    network: Network, thetas: np.ndarray, covariances: np.ndarray, x: np.ndarray, m: int, seed: int
) -> np.ndarray:
    """Predictive distributions (R, M, N, C): M draws from N(θ, covariance) through the network linearised at θ, for
    each of `thetas` (R, D) and `covariances` (R, D, D)."""
    noise = np.random.default_rng(seed).normal(size=(m, network.size))

    @jax.jit
    def one(theta, root):
        logits = partial(network.logits, x=x)
        return jax.nn.softmax(logits(theta) + jnp.einsum("ncd,md->mnc", jax.jacobian(logits)(theta), noise @ root.T))

    roots = np.linalg.cholesky(covariances)
    return np.stack([np.asarray(one(theta, root)) for theta, root in zip(thetas, roots, strict=True)])


def dropout_masks(key: jax.Array, network: Network, n: int, rate: float) -> tuple[jax.Array, jax.Array]:
    """Masks (n, d) and (n, k) for the inputs of A1 and A2: 0 with probability `rate`, else 1 / (1 - rate)."""
    hidden, inputs = network.layers.weight1.shape
    first, second = jax.random.split(key)
    kept = jax.random.bernoulli(first, 1 - rate, (n, inputs)), jax.random.bernoulli(second, 1 - rate, (n, hidden))
    return kept[0] / (1 - rate), kept[1] / (1 - rate)


def train_with_dropout(posterior: Posterior, rate: float, seeds: Sequence[int]) -> np.ndarray:
    """(R, D): θ after Adam on the potential under fresh masks each step, from each seed's LoRA initialisation."""

    def potential(theta, key):
        return posterior.potential(theta, masks=dropout_masks(key, posterior.network, len(posterior.x), rate))

    starts = np.stack([posterior.network.initial(np.random.default_rng(seed)) for seed in seeds])
    return descend(potential, starts, ADAM_STEPS, ADAM_RATE, seeds)


def dropout_passes(network: Network, thetas: np.ndarray, rate: float, x: np.ndarray, m: int, seed: int) -> np.ndarray:
    """Predictive distributions (R, M, N, C): M passes with dropout (Gal and Ghahramani 2016), for `thetas` (R, D)."""
    keys = jax.random.split(jax.random.key(seed), m)

    @jax.jit
    def one(theta):
        def passed(key):
            return jax.nn.softmax(network.logits(theta, x, dropout_masks(key, network, len(x), rate)))

        return jax.lax.map(passed, keys)

    return np.stack([np.asarray(one(theta)) for theta in thetas])
