"""Paired bootstrap: is one method's metric better than another's, beyond the luck of the test examples?

A method's `runs` are one (score (N,), error bool (N,)) a seed, all on the same N test examples in the same
order. A resample draws N examples with replacement; every method and every seed is measured on that same
draw, then the seeds are averaged. The seeds share the test set, so drawing anew for each would average the
luck of the examples away. The interval speaks of new examples, not of new training seeds.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from peftuq.metrics.detection import auroc

Metric = Callable[[np.ndarray, np.ndarray], float]
Runs = Sequence[tuple[np.ndarray, np.ndarray]]

_BLOCK = 32  # resamples at a time, so that the work fits in the cache


class Difference(NamedTuple):
    """Metric of a method minus the baseline's on the whole test set, and its percentile interval."""

    estimate: float
    low: float
    high: float


def resample_counts(n: int, resamples: int = 1000, seed: int = 0) -> np.ndarray:
    """How often each of n examples is drawn in each resample: int32 (B, n), rows summing to n."""
    rng = np.random.default_rng(seed)
    draws = (np.bincount(rng.integers(n, size=n), minlength=n) for _ in range(resamples))
    return np.stack([draw.astype(np.int32) for draw in draws])


def resampled_auroc(score: np.ndarray, error: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """AUROC (ties half) in each resample, float64 (B,); NaN in one without an error or a correct prediction.

    Sorted once: a resample only changes how often each correct prediction counts, and an error's rank is
    two look-ups in the cumulative counts of the correct predictions.
    """
    order = np.argsort(score, kind="stable")
    wrong = np.asarray(error, dtype=bool)[order]
    positive, negative = order[wrong], order[~wrong]
    below, upto = (np.searchsorted(score[negative], score[positive], side) for side in ("left", "right"))
    values = []
    for first in range(0, len(counts), _BLOCK):
        drawn = counts[first : first + _BLOCK].astype(np.int64)
        beaten = np.zeros((len(drawn), len(negative) + 1), dtype=np.int64)
        np.cumsum(drawn[:, negative], axis=1, out=beaten[:, 1:])
        twice_area = np.einsum("be,be->b", drawn[:, positive], beaten[:, below] + beaten[:, upto])
        pairs = drawn[:, positive].sum(axis=1) * beaten[:, -1]
        values.append(np.where(pairs > 0, twice_area / (2 * np.maximum(pairs, 1)), np.nan))
    return np.concatenate(values)


def resampled(metric: Metric, score: np.ndarray, error: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """`metric` in each resample, float64 (B,); NaN where it raises `ArithmeticError` (is undefined)."""
    if metric is auroc:
        return resampled_auroc(score, error, counts)
    values = np.full(len(counts), np.nan)
    for b, count in enumerate(counts):
        drawn = np.repeat(np.arange(len(score)), count)
        try:
            values[b] = metric(score[drawn], error[drawn])
        except ArithmeticError:
            continue
    return values


def paired_bootstrap(
    methods: Mapping[str, Runs],
    baseline: str,
    metric: Metric = auroc,
    level: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Difference | None]:
    """Difference to `baseline` of every other method's metric (mean over seeds), with its `level` interval.

    Percentiles over the resamples in which both methods' metrics are defined for every seed; None where the
    metric is undefined on the whole test set or in every resample. Methods may have different numbers of
    seeds. Raises `ValueError` when test sets differ in size.
    """
    sizes = {len(part) for runs in methods.values() for run in runs for part in run}
    if len(sizes) != 1:
        raise ValueError(f"a paired bootstrap needs the same test examples everywhere, not sets of {sorted(sizes)}")
    counts = resample_counts(sizes.pop(), resamples, seed)
    reference = _over_seeds(methods[baseline], metric, counts)
    return {
        name: _difference(_over_seeds(runs, metric, counts), reference, level)
        for name, runs in methods.items()
        if name != baseline
    }


_Resampled = tuple[float, np.ndarray] | None  # on the whole test set, in each resample (B,); None: undefined


def _over_seeds(runs: Runs, metric: Metric, counts: np.ndarray) -> _Resampled:
    """Mean over seeds of the metric; undefined as soon as it is for one seed."""
    try:
        estimate = float(np.mean([metric(score, error) for score, error in runs]))
    except ArithmeticError:
        return None
    return estimate, np.mean([resampled(metric, score, error, counts) for score, error in runs], axis=0)


def _difference(method: _Resampled, baseline: _Resampled, level: float) -> Difference | None:
    if method is None or baseline is None:
        return None
    differences = method[1] - baseline[1]
    defined = differences[~np.isnan(differences)]
    if len(defined) == 0:
        return None
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return Difference(method[0] - baseline[0], float(low), float(high))
