"""Scores of how M members disagree: mutual information, expected entropy, vote disagreement.

The predictive entropy H[p̄], which mutual information and expected entropy add up to, is in softmax.py.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from peftuq.artifacts import SampleFile
from peftuq.plugins import Score
from peftuq.scores.softmax import entropy

SCORE = Score(
    version=1,
    needs=["members"],
    reads="samples",
    variants=["mutual_information", "expected_entropy", "vote_disagreement"],
)


def mutual_information(probs: np.ndarray) -> np.ndarray:
    """I[y; member] = H[p̄] - mean_m H[p_m] in nats (N,), from `probs` (M, N, C); in [0, log min(M, C)].

    LoRA-ensembles paper; Houlsby et al. (2011). Computed as its equal, mean_m KL(p_m || p̄): a difference of
    entropies can round below 0 and loses the small values. With r = (p̄ - p)/p a term of the divergence is
    p (r - log(1 + r)) >= 0, where the p̄ - p that is added averages to 0 over the members.
    """
    # Stands in for probability 0: an option that no member has gives r = 0, one that some have gives their p̄.
    p = np.maximum(probs, np.finfo(np.float64).tiny)
    # A mean lies between its terms except for rounding; clipped, it equals identical members exactly.
    mean = np.clip(p.mean(axis=0), p.min(axis=0), p.max(axis=0))
    r = (mean - p) / p
    return (p * np.maximum(r - np.log1p(r), 0.0)).sum(axis=-1).mean(axis=0)


def expected_entropy(probs: np.ndarray) -> np.ndarray:
    """mean_m H[p_m] in nats (N,), from `probs` (M, N, C); in [0, log C]."""
    return entropy(probs).mean(axis=0)


def vote_disagreement(probs: np.ndarray) -> np.ndarray:
    """Share of members that do not vote for the modal class (N,), from `probs` (M, N, C); in [0, 1 - 1/M].

    The variation ratio (Freeman, 1965; Gal, 2016, section 3.3), whatever class p̄ prefers. A member votes for
    its arg-max, the first of equals.
    """
    members, _, classes = probs.shape
    votes = (probs.argmax(axis=-1)[..., None] == np.arange(classes)).sum(axis=0)
    return (members - votes.max(axis=-1)) / members


def score(
    inputs: SampleFile, evals: Sequence[str], params: Mapping[str, Any], seed: int
) -> tuple[dict[str, dict[str, np.ndarray]], dict[str, Any]]:
    """Every variant on every eval set; nothing is fitted, so `params` and `seed` are not used."""
    probs = {part: inputs[part].probs for part in evals}
    functions = {
        "mutual_information": mutual_information,
        "expected_entropy": expected_entropy,
        "vote_disagreement": vote_disagreement,
    }
    return {name: {part: of(probs[part]) for part in evals} for name, of in functions.items()}, {}
