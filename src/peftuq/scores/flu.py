"""Functional-level uncertainty of a mixture of experts (UQ4CT, eq. 12): what its routers leave to other experts."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from peftuq.artifacts import RecordFile
from peftuq.errors import UserError
from peftuq.plugins import Score

SCORE = Score(
    version=1,
    reads="records",
    needs=["flu"],
    variants=["flu_mean", "flu_last"],
    probabilities=["flu_mean", "flu_last"],
)


def confidence(flu: np.ndarray) -> np.ndarray:
    """FLU (N, 2) in [K/E, 1] from its blocks (N, L, 2): over the prompt's tokens, and at the last one."""
    return flu.astype(np.float64).mean(axis=1)


def score(
    inputs: RecordFile, evals: Sequence[str], params: Mapping[str, Any], seed: int
) -> tuple[dict[str, dict[str, np.ndarray]], dict[str, Any]]:
    """1 − FLU (N,) by variant and evaluation set. Raises `UserError` if the records are not of a mixture."""
    scores: dict[str, dict[str, np.ndarray]] = {name: {} for name in SCORE.variants}
    for part in evals:
        flu = inputs[part].flu
        if flu is None:
            raise UserError("score flu: the records have no FLU; use it with recipes that have adapter.mixture")
        for column, name in enumerate(SCORE.variants):
            scores[name][part] = 1 - confidence(flu)[:, column]
    return scores, {}
