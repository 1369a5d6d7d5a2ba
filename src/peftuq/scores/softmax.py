"""Scores of the predictive distribution p̄ alone: softmax response, entropy and margin.

p̄ is the mean of the M members' probabilities; one adapter is the case M = 1.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from peftuq.artifacts import SampleFile
from peftuq.plugins import Score

SCORE = Score(
    version=1,
    reads="samples",
    variants=["sr", "entropy", "margin"],
    probabilities=["sr"],
)


def softmax_response(probs: np.ndarray) -> np.ndarray:
    """1 - max_c p_c of `probs` (..., C); in [0, 1 - 1/C]. AdUE, eq. 1 (Geifman and El-Yaniv, 2017).

    Computed as the sum of the other probabilities: 1 - max rounds to 0 as soon as they are below 1e-16, which
    would tie the most confident examples of a well fitted model.
    """
    return np.sort(probs, axis=-1)[..., :-1].sum(axis=-1)


def entropy(probs: np.ndarray) -> np.ndarray:
    """Shannon entropy in nats of `probs` (..., C), with 0 log 0 = 0; in [0, log C]."""
    return -(probs * np.log(np.where(probs > 0, probs, 1.0))).sum(axis=-1)


def margin(probs: np.ndarray) -> np.ndarray:
    """1 - (p_(1) - p_(2)) of the two largest of `probs` (..., C); in [0, 1]. Scheffer et al. (2001)."""
    return softmax_response(probs) + np.sort(probs, axis=-1)[..., -2]


def score(
    inputs: SampleFile, evals: Sequence[str], params: Mapping[str, Any], seed: int
) -> tuple[dict[str, dict[str, np.ndarray]], dict[str, Any]]:
    """Every variant on every eval set; nothing is fitted, so `params` and `seed` are not used."""
    mean = {part: inputs[part].mean for part in evals}
    functions = {"sr": softmax_response, "entropy": entropy, "margin": margin}
    return {name: {part: of(mean[part]) for part in evals} for name, of in functions.items()}, {}


def apply(
    variant: str, state: Mapping[str, np.ndarray], probs: np.ndarray, logits: np.ndarray, h: np.ndarray
) -> np.ndarray:
    p = np.sort(probs, axis=1)
    if variant == "entropy":
        return -(p * np.log(np.where(p > 0, p, 1.0))).sum(axis=1)
    others = p[:, :-1].sum(axis=1)
    return others if variant == "sr" else others + p[:, -2]
