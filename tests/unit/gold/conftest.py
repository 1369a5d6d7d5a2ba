"""Compiling takes most of these tests' time: do it without optimisation."""

import os

os.environ["XLA_FLAGS"] = "--xla_backend_optimization_level=0"
