"""JAX on the processor, in double precision and on one thread: whoever uses JAX takes it from here.

A sum's order, and with it its last bits, must not depend on how many cores the machine has.
"""

import os

os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_cpu_multi_thread_eigen=false".strip()

import jax
import jax.numpy as jnp

jax.config.update("jax_platforms", "cpu")
jax.config.update("jax_enable_x64", True)

__all__ = ["jax", "jnp"]
