"""Which score of a setting is best, and by how much beyond the luck of the test examples."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from peftuq.artifacts import Scores
from peftuq.metrics.bootstrap import paired_bootstrap
from peftuq.metrics.detection import auroc

PROPOSED = ("adue", "mutual_information", "flu")  # what the papers propose; every other score is a baseline


def against_best(scored: Sequence[tuple[str, Scores]], evals: Sequence[str], resamples: int) -> dict[str, Any]:
    """Per evaluation set: the baseline with the highest mean error-AUROC, and each method's paired difference to it.

    `scored`: a setting's scores, each with the predictive it is of. Methods are named "predictive/variant".
    """
    return {part: _on_part([(name, scores.on(part)) for name, scores in scored], resamples) for part in evals}


def _on_part(loaded: Sequence[tuple[str, Scores]], resamples: int) -> dict[str, Any]:
    runs: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
    for predictive, scores in loaded:
        for variant, values in scores.variants.items():
            runs.setdefault(f"{predictive}/{variant}", []).append((values, scores.error))
    means = {name: _mean_auroc(of_seeds) for name, of_seeds in runs.items()}
    baselines = {
        name: mean for name, mean in means.items() if mean is not None and not _is_proposed(name.split("/")[1])
    }
    if not baselines:
        return {"best_baseline": None, "auroc": means, "difference": {}}
    best = max(baselines, key=lambda name: baselines[name])
    differences = paired_bootstrap(runs, best, auroc, resamples=resamples)
    return {
        "best_baseline": best,
        "auroc": means,
        "difference": {name: None if d is None else d._asdict() for name, d in differences.items()},
    }


def _is_proposed(variant: str) -> bool:
    return variant.startswith(PROPOSED)


def _mean_auroc(runs: Sequence[tuple[np.ndarray, np.ndarray]]) -> float | None:
    try:
        return float(np.mean([auroc(score, error) for score, error in runs]))
    except ArithmeticError:
        return None
