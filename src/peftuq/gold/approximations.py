"""What is affordable on a large model, on the small one: MAP members, Laplace, dropout."""

from collections.abc import Sequence

import numpy as np

from peftuq.gold.backend import jax, jnp
from peftuq.gold.model import Network, Posterior
from peftuq.gold.optimise import descend, minimiser

ADAM_STEPS, ADAM_RATE = 3000, 0.005  # dropout's noise forbids L-BFGS


def map_members(posterior: Posterior, seeds: Sequence[int]) -> np.ndarray:
    """(M, D): the maxima of the posterior that are found from each seed's LoRA initialisation."""
    minimise = minimiser(posterior.potential)
    return np.stack([minimise(posterior.network.initial(np.random.default_rng(seed))) for seed in seeds])


def anchored_members(posterior: Posterior, seeds: Sequence[int]) -> np.ndarray:
    """(M, D): as `map_members`, each under a prior centred on its own draw from the prior (Pearce et al. 2020)."""
    minimise, members = minimiser(posterior.potential), []
    for seed in seeds:
        rng = np.random.default_rng(seed)
        start, centre = posterior.network.initial(rng), posterior.prior_std * rng.normal(size=posterior.network.size)
        members.append(minimise(start, centre))
    return np.stack(members)


def laplace_covariance(posterior: Posterior, theta: np.ndarray) -> np.ndarray:
    """(D, D): inverse of the generalised Gauss-Newton matrix Σ JᵀΛJ plus the prior's precision 2·half_lambda, at θ.

    The full Hessian is singular along the rotations that leave BA and the prior unchanged, and indefinite off the
    maximum; this one is neither (Daxberger et al. 2021).
    """
    network, x = posterior.network, posterior.x
    jacobian = jax.jacobian(lambda t: network.logits(t, x))(jnp.asarray(theta))  # (N, C, D)
    p = jax.nn.softmax(network.logits(theta, x))
    curvature = p[:, :, None] * jnp.eye(p.shape[1]) - p[:, :, None] * p[:, None, :]
    precision = jnp.einsum("nci,ncd,ndj->ij", jacobian, curvature, jacobian)
    return np.linalg.inv(precision + 2 * posterior.half_lambda * np.eye(network.size))


def linearised(network: Network, theta: np.ndarray, covariance: np.ndarray, x: np.ndarray, m: int, seed: int):
    """Predictive distributions (M, N, C) of M draws from N(θ, covariance) through the network linearised at θ."""
    noise = np.random.default_rng(seed).normal(size=(m, network.size))
    moved = noise @ np.linalg.cholesky(covariance).T
    logits = jax.jit(lambda t: network.logits(t, x))
    jacobian = jax.jacobian(logits)(jnp.asarray(theta))
    return np.asarray(jax.nn.softmax(logits(theta) + jnp.einsum("ncd,md->mnc", jacobian, moved)))


def dropout_masks(key: jax.Array, network: Network, n: int, rate: float) -> tuple[jax.Array, jax.Array]:
    """Masks (n, d) and (n, k) for the inputs of A1 and A2: 0 with probability `rate`, else 1 / (1 - rate)."""
    hidden, inputs = network.layers.weight1.shape
    first, second = jax.random.split(key)
    kept = jax.random.bernoulli(first, 1 - rate, (n, inputs)), jax.random.bernoulli(second, 1 - rate, (n, hidden))
    return kept[0] / (1 - rate), kept[1] / (1 - rate)


def train_with_dropout(posterior: Posterior, rate: float, seed: int) -> np.ndarray:
    """(D,): θ after Adam on the potential under fresh masks each step."""

    def potential(theta, key):
        return posterior.potential(theta, masks=dropout_masks(key, posterior.network, len(posterior.x), rate))

    start = posterior.network.initial(np.random.default_rng(seed))
    return descend(potential, start, ADAM_STEPS, ADAM_RATE, seed)


def dropout_passes(network: Network, theta: np.ndarray, rate: float, x: np.ndarray, m: int, seed: int) -> np.ndarray:
    """Predictive distributions (M, N, C) of M passes with dropout (Gal and Ghahramani 2016)."""

    def one(key):
        return jax.nn.softmax(network.logits(theta, x, dropout_masks(key, network, len(x), rate)))

    return np.asarray(jax.lax.map(one, jax.random.split(jax.random.key(seed), m)))
