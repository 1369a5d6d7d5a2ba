"""Error-AUROC of a setting's scores, and the difference of every two of them with its interval.

No score is left out and none is singled out: which of them is a method's best rival is for the reader to choose, among
pairs that were all measured on the same resamples of the test examples and over the seeds that both have.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from peftuq.artifacts import Scores
from peftuq.metrics.bootstrap import paired_bootstrap
from peftuq.metrics.detection import auroc

Scored = tuple[str, int, Scores]  # a predictive, its seed, and a score of it
_Runs = dict[int, tuple[np.ndarray, np.ndarray]]


def pairwise(scored: Sequence[Scored], evals: Sequence[str], resamples: int) -> dict[str, Any]:
    """Per evaluation set with labels: `auroc`, method → seed → value, and `differences`, a row for every two methods.

    Methods are named "predictive/variant". An undefined AUROC is None. A row holds `method`, `other`, the `seeds` that
    both have, `estimate` = the method's mean AUROC over them minus the other's, and `low` and `high` of its 95 %
    interval. Two methods without a common seed have no row.
    """
    parts = {part: [(name, seed, scores.on(part)) for name, seed, scores in scored] for part in evals}
    return {
        part: _on_part(here, resamples) for part, here in parts.items() if all(scores.labelled for *_, scores in here)
    }


def _on_part(scored: Sequence[Scored], resamples: int) -> dict[str, Any]:
    runs: dict[str, _Runs] = {}
    for predictive, seed, scores in scored:
        for variant, values in scores.variants.items():
            runs.setdefault(f"{predictive}/{variant}", {})[seed] = (values, scores.error)
    found = paired_bootstrap(runs, auroc, resamples=resamples) if runs else {}
    return {
        "auroc": {name: {str(seed): _auroc(*run) for seed, run in of_seeds.items()} for name, of_seeds in runs.items()},
        "differences": [
            {"method": method, "other": other, **difference._asdict()}
            for (method, other), difference in found.items()
            if difference is not None
        ],
    }


def _auroc(score: np.ndarray, error: np.ndarray) -> float | None:
    try:
        return float(auroc(score, error))
    except ArithmeticError:
        return None
