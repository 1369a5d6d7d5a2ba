"""Minima of smooth functions of a vector: quasi-Newton where the function is fixed, Adam where it is drawn anew."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jax.example_libraries.optimizers import adam
from scipy.optimize import minimize as scipy_minimise

from peftuq.reference_posterior.backend import jax, jnp


def minimiser(function: Callable[..., Any], steps: int = 5000) -> Callable[..., np.ndarray]:
    """`f(start, *args)`: the local minimum (D,) of `function(θ, *args)` that L-BFGS finds from `start`."""
    gradient = jax.jit(jax.value_and_grad(function))

    def minimise(start: np.ndarray, *args: Any) -> np.ndarray:
        def both(theta: np.ndarray) -> tuple[float, np.ndarray]:
            value, slope = gradient(theta, *args)
            return float(value), np.asarray(slope)

        options = {"maxiter": steps, "maxfun": 2 * steps, "ftol": 1e-12, "gtol": 1e-6}
        return scipy_minimise(both, start, jac=True, method="L-BFGS-B", options=options).x

    return minimise


def descend(
    function: Callable[[Any, Any], Any], starts: np.ndarray, steps: int, rate: float, seeds: Sequence[int]
) -> np.ndarray:
    """Where Adam has come to (R, D) after `steps` on `function(θ, key)`, from each of `starts` (R, D) with random keys
    of its own, fresh each step."""
    begin, update, parameters = adam(rate)

    def one(start, seed):
        def step(state, at):
            index, key = at
            return update(index, jax.grad(function)(parameters(state), key), state), None

        keys = jax.random.split(jax.random.key(seed), steps)
        return parameters(jax.lax.scan(step, begin(start), (jnp.arange(steps), keys))[0])

    return np.asarray(jax.jit(jax.vmap(one))(jnp.asarray(starts), jnp.asarray(seeds)))
