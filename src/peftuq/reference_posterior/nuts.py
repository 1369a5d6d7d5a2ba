"""The reference: Hamiltonian Monte Carlo with the No-U-Turn Sampler (Hoffman and Gelman 2014), and whether it mixed."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpyro.diagnostics import effective_sample_size, split_gelman_rubin
from numpyro.infer import MCMC, NUTS

from peftuq.reference_posterior.backend import jax, jnp

ACCEPTANCE = 0.8  # that the step size is adapted to


class Draws(NamedTuple):
    """`values` (K, S, D): S draws of each of K chains. `divergences`: how many; `leapfrogs`: mean steps a draw."""

    values: np.ndarray
    divergences: int
    leapfrogs: float


class Mixing(NamedTuple):
    """Over all quantities: the largest split R̂ (1: mixed), the smallest effective sample size (Gelman et al. 2013,
    sections 11.4-5), and the mean Monte Carlo standard error of their means, sd / √ESS."""

    rhat: float
    ess: float
    error: float


def sample(potential: Callable[[Any], Any], starts: np.ndarray, warmup: int, draws: int, seed: int) -> Draws:
    """Draw from the density ∝ exp(-potential), a chain from each of `starts` (K, D); step size and diagonal mass
    matrix are adapted in `warmup` draws that are not kept."""
    mcmc = MCMC(
        NUTS(potential_fn=potential, target_accept_prob=ACCEPTANCE),
        num_warmup=warmup,
        num_samples=draws,
        num_chains=len(starts),
        chain_method="vectorized",
        progress_bar=False,
    )
    mcmc.run(jax.random.PRNGKey(seed), init_params=jnp.asarray(starts), extra_fields=("diverging", "num_steps"))
    fields = mcmc.get_extra_fields(group_by_chain=True)
    values = np.asarray(mcmc.get_samples(group_by_chain=True))
    return Draws(values, int(fields["diverging"].sum()), float(fields["num_steps"].mean()))


def mixing(values: np.ndarray) -> Mixing:
    """Convergence of quantities `values` (K, S, Q) with K > 1."""
    size = effective_sample_size(values)
    errors = values.std(axis=(0, 1)) / np.sqrt(size)
    return Mixing(float(np.max(split_gelman_rubin(values))), float(size.min()), float(errors.mean()))
