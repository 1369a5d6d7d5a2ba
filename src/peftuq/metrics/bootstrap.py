"""Paired bootstrap: is one method's metric better than another's, beyond the luck of the test examples?

A method's `runs` are one (score (N,), error bool (N,)) a seed, all on the same N test examples in the same
order. A resample draws N examples with replacement; every method and every seed is measured on that same
draw, then the seeds that both methods have are averaged. The seeds share the test set, so drawing anew for each would
average the luck of the examples away. The interval speaks of new examples, not of new training seeds.
"""

from collections.abc import Callable, Mapping
from itertools import combinations
from typing import NamedTuple

import numpy as np

from peftuq.metrics.detection import auroc

Metric = Callable[[np.ndarray, np.ndarray], float]
Runs = Mapping[int, tuple[np.ndarray, np.ndarray]]  # by seed

_BLOCK = 32  # resamples at a time, so that the work fits in the cache


class Difference(NamedTuple):
    """Metric of one method minus another's on the whole test set, its percentile interval, and the seeds it is over."""

    estimate: float
    low: float
    high: float
    seeds: tuple[int, ...]


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
    methods: Mapping[str, Runs], metric: Metric = auroc, level: float = 0.95, resamples: int = 1000, seed: int = 0
) -> dict[tuple[str, str], Difference | None]:
    """Difference of every pair's metric, mean over the seeds that both have, with its `level` interval.

    Keys are (one, other) in the methods' order, values one minus other. A seed without a defined metric on the whole
    test set is none that a method has. Percentiles over the resamples in which both methods' metrics are defined for
    every common seed; None where there is no common seed or no such resample. Raises `ValueError` when test sets
    differ in size.
    """
    sizes = {len(part) for runs in methods.values() for run in runs.values() for part in run}
    if len(sizes) != 1:
        raise ValueError(f"a paired bootstrap needs the same test examples everywhere, not sets of {sorted(sizes)}")
    counts = resample_counts(sizes.pop(), resamples, seed)
    measured = {name: _by_seed(runs, metric, counts) for name, runs in methods.items()}
    return {(one, other): _difference(measured[one], measured[other], level) for one, other in combinations(methods, 2)}


_Resampled = tuple[float, np.ndarray]  # on the whole test set, in each resample (B,)


def _by_seed(runs: Runs, metric: Metric, counts: np.ndarray) -> dict[int, _Resampled]:
    found = {}
    for seed, (score, error) in runs.items():
        try:
            found[seed] = (float(metric(score, error)), resampled(metric, score, error, counts))
        except ArithmeticError:
            continue
    return found


def _difference(one: Mapping[int, _Resampled], other: Mapping[int, _Resampled], level: float) -> Difference | None:
    seeds = tuple(sorted(one.keys() & other.keys()))
    if not seeds:
        return None
    differences = np.mean([one[seed][1] - other[seed][1] for seed in seeds], axis=0)
    defined = differences[~np.isnan(differences)]
    if len(defined) == 0:
        return None
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    estimate = float(np.mean([one[seed][0] - other[seed][0] for seed in seeds]))
    return Difference(estimate, float(low), float(high), seeds)
