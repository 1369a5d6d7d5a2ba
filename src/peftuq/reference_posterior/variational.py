"""Gaussian approximations that a training leaves behind, on the small network: SWAG and IVON, as `adapters/` has them.

Both are N(mean, diag std² + deviationsᵀ deviations). SWAG's rates and sizes are this comparison's; IVON is given the
posterior itself, λ the number of examples and δ the prior's precision over it, and whole batches.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from jax.example_libraries.optimizers import adam

from peftuq.reference_posterior.backend import jax, jnp
from peftuq.reference_posterior.model import Posterior, cross_entropy

SWAG_STEPS, SWAG_RATE, BATCH, SNAPSHOTS, RANK = 3000, 0.005, 32, 20, 5
IVON_STEPS, IVON_RATE, HESSIAN, BETA1, BETA2 = 10_000, 0.1, 1.0, 0.9, 0.999


class Gaussian(NamedTuple):
    """`mean` (D,), `std` (D,), `deviations` (K, D)."""

    mean: np.ndarray
    std: np.ndarray
    deviations: np.ndarray

    def draw(self, m: int, seed: int) -> np.ndarray:
        """(M, D)."""
        rng = np.random.default_rng(seed)
        own, shared = rng.normal(size=(m, len(self.mean))), rng.normal(size=(m, len(self.deviations)))
        return self.mean + self.std * own + shared @ self.deviations


def collected(iterates: np.ndarray, rank: int) -> Gaussian:
    """SWAG's Gaussian of iterates (S, D), half of whose covariance is diagonal (Maddox et al. 2019, eq. 1)."""
    means = np.cumsum(iterates, axis=0) / np.arange(1, len(iterates) + 1)[:, None]
    deviations = (iterates - means)[-rank:] / np.sqrt(2 * (rank - 1))
    return Gaussian(iterates.mean(axis=0), np.sqrt(iterates.var(axis=0) / 2), deviations)


def swag(posterior: Posterior, seeds: Sequence[int]) -> list[Gaussian]:
    """SWAG by each seed: of the second half of a training from its LoRA initialisation, Adam at a constant rate."""
    begin, update, parameters = adam(SWAG_RATE)
    n = len(posterior.y)
    x, y = jnp.asarray(posterior.x), jnp.asarray(posterior.y)

    def potential(theta, rows):
        misfit = cross_entropy(posterior.network.logits(theta, x[rows]), y[rows])
        return n / len(rows) * misfit + posterior.half_lambda * (theta**2).sum()

    def one(start, seed):
        def step(state, at):
            index, key = at
            rows = jax.random.randint(key, (min(BATCH, n),), 0, n)
            state = update(index, jax.grad(potential)(parameters(state), rows), state)
            return state, parameters(state)

        keys = jax.random.split(jax.random.key(seed), SWAG_STEPS)
        return jax.lax.scan(step, begin(start), (jnp.arange(SWAG_STEPS), keys))[1]

    starts = np.stack([posterior.network.initial(np.random.default_rng(seed)) for seed in seeds])
    walks = np.asarray(jax.jit(jax.vmap(one))(jnp.asarray(starts), jnp.asarray(seeds)))
    kept = np.linspace(SWAG_STEPS // 2, SWAG_STEPS - 1, SNAPSHOTS).round().astype(int)
    return [collected(walk[kept], RANK) for walk in walks]


def ivon(posterior: Posterior, seeds: Sequence[int]) -> list[Gaussian]:
    """From each seed's LoRA initialisation."""

    def misfit(theta):
        return cross_entropy(posterior.network.logits(theta, posterior.x), posterior.y)

    starts = np.stack([posterior.network.initial(np.random.default_rng(seed)) for seed in seeds])
    return variational(misfit, posterior.half_lambda, len(posterior.y), starts, seeds)


def variational(
    misfit: Callable[[Any], Any], half_lambda: float, examples: int, starts: np.ndarray, seeds: Sequence[int]
) -> list[Gaussian]:
    """IVON (Shen et al. 2024, algorithm 1) on exp(-`misfit`(θ) - `half_lambda`·‖θ‖²), from each of `starts` (R, D)."""
    decay = 2 * half_lambda / examples

    def one(start, seed):
        def step(state, at):
            t, key = at
            m, g, h = state
            noise = jax.random.normal(key, m.shape) / jnp.sqrt(examples * (h + decay))
            gradient = jax.grad(misfit)(m + noise) / examples
            g = BETA1 * g + (1 - BETA1) * gradient
            estimate = gradient * noise * examples * (h + decay)
            rest = 1 - BETA2
            h = BETA2 * h + rest * estimate + 0.5 * rest**2 * (h - estimate) ** 2 / (h + decay)
            rate = IVON_RATE * (1 - t / IVON_STEPS)
            return (m - rate * (g / (1 - BETA1 ** (t + 1)) + decay * m) / (h + decay), g, h), None

        keys = jax.random.split(jax.random.key(seed), IVON_STEPS)
        first = (start, jnp.zeros_like(start), jnp.full_like(start, HESSIAN))
        m, _, h = jax.lax.scan(step, first, (jnp.arange(IVON_STEPS), keys))[0]
        return m, 1 / jnp.sqrt(examples * (h + decay))

    means, stds = jax.jit(jax.vmap(one))(jnp.asarray(starts), jnp.asarray(seeds))
    none = np.zeros((0, starts.shape[1]))
    return [Gaussian(mean, std, none) for mean, std in zip(np.asarray(means), np.asarray(stds), strict=True)]
