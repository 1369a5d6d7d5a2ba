"""Energy of the logits: E = -T log Σ_c exp(f_c / T), in the logits' own unit.

Liu et al. (2020), Energy-based out-of-distribution detection; T = 1 is their default. Unlike a probability it
keeps what all logits share. The sum is over the options that an example has.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.special import logsumexp

from peftuq.artifacts import RecordFile
from peftuq.plugins import Score

SCORE = Score(
    version=1,
    reads="records",
    params={"temperature": 1.0},
    bounds={"temperature": (1e-6, 1e6)},
    variants=["energy"],
)


def energy(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Energy (N,) of `logits` (N, C), -inf where an option is missing; any real number."""
    return -temperature * logsumexp(logits.astype(np.float64) / temperature, axis=1)


def score(
    inputs: RecordFile, evals: Sequence[str], params: Mapping[str, Any], seed: int
) -> tuple[dict[str, dict[str, np.ndarray]], dict[str, Any]]:
    """The energy on every evaluation set; nothing is fitted, so `seed` is not used."""
    return {"energy": {part: energy(inputs[part].logits, params["temperature"]) for part in evals}}, {}


def fit_state(inputs: RecordFile, params: Mapping[str, Any], seed: int) -> dict[str, dict[str, np.ndarray]]:
    return {"energy": {"temperature": np.array([params["temperature"]], dtype=np.float64)}}


def apply(
    variant: str, state: Mapping[str, np.ndarray], probs: np.ndarray, logits: np.ndarray, h: np.ndarray
) -> np.ndarray:
    scaled = logits.astype(np.float64) / state["temperature"]
    top = scaled.max(axis=1)
    return -state["temperature"] * (np.log(np.exp(scaled - top[:, None]).sum(axis=1)) + top)
