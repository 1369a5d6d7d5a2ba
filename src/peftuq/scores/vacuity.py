"""Vacuity of an evidential model's Dirichlet distribution (Sensoy et al. 2018): u = C / Σ α, in (0, 1].

Of C options that a question has; α are the exponentials of such a record's logits.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from peftuq.artifacts import RecordFile
from peftuq.plugins import Score

SCORE = Score(version=1, reads="records", needs=["evidence"], variants=["vacuity"])


def score(
    inputs: RecordFile, evals: Sequence[str], params: Mapping[str, Any], seed: int
) -> tuple[dict[str, dict[str, np.ndarray]], dict[str, Any]]:
    found = {}
    for part in evals:
        alpha = np.exp(inputs[part].logits.astype(np.float64))  # 0 where an option is missing
        found[part] = (alpha > 0).sum(axis=1) / alpha.sum(axis=1)
    return {"vacuity": found}, {}
