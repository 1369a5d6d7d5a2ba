"""How far a metric moves with a change: over the test examples that both methods answered, or over seeds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import combinations

import numpy as np

from peftuq.artifacts import Scores
from peftuq.metrics.bootstrap import resample_counts, resampled_auroc
from peftuq.report.disagreement.factors import Change, Side
from peftuq.report.intervals import FEWEST, mean_gap, paired
from peftuq.report.run import OverSeeds, Run

RESAMPLES, BINS = 1000, 15


def resampled_ece(score: np.ndarray, error: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """ECE of the confidences 1 - `score` (N,) in each resample (B, N), float64 (B,), in ECE's own bins."""
    confidence = 1 - score
    bins = np.searchsorted(np.arange(1, BINS) / BINS, confidence, side="left")
    gaps = np.zeros((len(score), BINS))
    gaps[np.arange(len(score)), bins] = confidence - ~np.asarray(error, dtype=bool)
    return np.abs(counts @ gaps).sum(axis=1) / len(score)


_RESAMPLED: dict[str, Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]] = {
    "ece_15": resampled_ece,
    "auroc": resampled_auroc,
}
METRICS = {"ece_15": "ECE (15 bins), %", "auroc": "error-AUROC ×100"}


@dataclass(frozen=True)
class Difference:
    """The metric of the other method minus the base's, mean over their common seeds, with its 95 % interval if any."""

    estimate: float
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class Comparison:
    """A change, and what it does to each metric."""

    run: Run
    change: Change

    def over(self, metric: str, other: bool) -> OverSeeds:
        side = self.change.other if other else self.change.base
        variant = "sr" if metric == "auroc" else "prediction"
        return self.run.over_seeds(side.setting, metric, variant, side.predictive)

    def differences(self, metric: str) -> list[float]:
        """The differences of the seeds that both methods have."""
        return paired(self.over(metric, other=True), self.over(metric, other=False))

    @cached_property
    def found(self) -> dict[str, Difference | None]:
        """The difference in each of METRICS; None without a common seed."""
        return {metric: self._difference(metric) for metric in METRICS}

    def _difference(self, metric: str) -> Difference | None:
        """Without common examples the interval is Student's, over at least three seeds."""
        found = self.differences(metric)
        if not found:
            return None
        gap = mean_gap(found, "seed")
        if self.scores is not None:
            return Difference(gap.estimate, self._bootstrap(metric))
        return Difference(gap.estimate, (gap.low, gap.high) if len(found) >= FEWEST else None)

    @cached_property
    def scores(self) -> list[tuple[Scores, Scores]] | None:
        """Softmax responses of the base and of the other method by common seed; None unless on the same examples."""
        seeds = [s for s in self._seeds(self.change.base) if s in self._seeds(self.change.other)]
        found = []
        for seed in seeds:
            one, other = (_softmax(self.run, side, seed) for side in (self.change.base, self.change.other))
            if one is None or other is None or self._tests() != 1 or not np.array_equal(one.id, other.id):
                return None
            found.append((one, other))
        return found or None

    def _seeds(self, side: Side) -> list[int]:
        return self.run.seeds(side.setting, side.predictive)

    def _tests(self) -> int:
        """How many test splits the two methods have."""
        return len({self.change.base.setting.dataset, self.change.other.setting.dataset})

    def _bootstrap(self, metric: str) -> tuple[float, float] | None:
        """The percentile interval over resampled test examples, the same for both methods and all seeds."""
        assert self.scores is not None
        counts, values = _counts(len(self.scores[0][0].id)), _RESAMPLED[metric]
        drawn = [
            values(other.variants["sr"], other.error, counts) - values(one.variants["sr"], one.error, counts)
            for one, other in self.scores
        ]
        means = np.mean(drawn, axis=0)
        defined = means[~np.isnan(means)]
        if not len(defined):
            return None
        low, high = np.quantile(defined, (0.025, 0.975))
        return float(low), float(high)


@cache
def _counts(n: int) -> np.ndarray:
    return resample_counts(n, RESAMPLES)


def _softmax(run: Run, side: Side, seed: int) -> Scores | None:
    found = run.scores(side.setting, seed, "softmax", side.predictive)
    return found if found is not None and "sr" in found.variants and found.labelled else None


def of_seeds(run: Run, side: Side, metric: str) -> float | None:
    """The mean absolute difference between two seeds of one method; None for fewer than two."""
    variant = "sr" if metric == "auroc" else "prediction"
    values: Sequence[float] = list(run.over_seeds(side.setting, metric, variant, side.predictive).values.values())
    apart = [abs(one - other) for one, other in combinations(values, 2)]
    return float(np.mean(apart)) if apart else None
