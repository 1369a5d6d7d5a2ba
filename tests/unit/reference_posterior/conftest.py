"""Compiling takes most of these tests' time: it is done without optimisation, and once for equal programs."""

import os
import tempfile

CACHE = tempfile.TemporaryDirectory()
os.environ |= {
    "XLA_FLAGS": "--xla_backend_optimization_level=0",
    "JAX_COMPILATION_CACHE_DIR": CACHE.name,
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
}
