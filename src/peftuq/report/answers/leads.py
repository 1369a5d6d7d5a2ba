"""The difference between two methods over evaluation sets, with its interval; and the method that leads."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from peftuq.metrics.evaluate import METRICS
from peftuq.report.answers.methods import Candidate, Unit, over
from peftuq.report.comparison import Comparison, Difference
from peftuq.report.intervals import UNDISTINGUISHED, Gap, gap, means, paired
from peftuq.report.run import Run


class Lead(NamedTuple):
    """The method with the largest mean difference to a baseline, and that difference.

    `level`: how many of the `others` are not distinguishable from it.
    """

    method: Candidate
    gap: Gap
    others: int
    level: int


@dataclass
class Leads:
    """Differences in a run. Those of error-AUROC within one setting have the paired bootstrap's interval."""

    run: Run
    _comparisons: dict[tuple, Comparison | None] = field(default_factory=dict)

    def between(self, one: Candidate, other: Candidate, units: Sequence[Unit], metric: str) -> Gap | None:
        """The mean of one − other over the units; None where they have no seed in common on one of them."""
        pairs = [(over(self.run, one, unit, metric), over(self.run, other, unit, metric)) for unit in units]
        if not pairs or not all(paired(*pair) for pair in pairs):
            return None
        if len(units) == 1 and (found := self._bootstrapped(one, other, units[0], metric)):
            return Gap(found.estimate, found.low, found.high, len(found.seeds), "seed")
        return gap(pairs, "evaluation set")

    def _bootstrapped(self, one: Candidate, other: Candidate, unit: Unit, metric: str) -> Difference | None:
        if metric != "auroc" or one.family != other.family:
            return None
        setting = unit.task.settings[one.family]
        key = (setting, unit.on)
        if key not in self._comparisons:
            self._comparisons[key] = self.run.comparison(*key)
        found = self._comparisons[key]
        names = (f"{method.predictive}/{method.variant}" for method in (one, other))
        return None if found is None else found.difference(*names)

    def best(
        self, methods: Sequence[Candidate], baseline: Candidate, units: Sequence[Unit], metric: str
    ) -> Lead | None:
        """The leader among the methods that ran on all units; None without any."""
        gaps = {m: found for m in methods if (found := self.between(m, baseline, units, metric)) is not None}
        if not gaps:
            return None
        sign = 1 if METRICS[metric]["better"] == "higher" else -1
        best = max(gaps, key=lambda method: sign * gaps[method].estimate)
        others = [self.between(best, method, units, metric) for method in gaps if method != best]
        level = sum(found is None or found.side() == UNDISTINGUISHED for found in others)
        return Lead(best, gaps[best], len(others), level)

    def both(self, one: Candidate, other: Candidate, units: Sequence[Unit], metric: str) -> tuple[float, float]:
        """The means of two methods that can be compared, over the seeds that both have."""
        return means([(over(self.run, one, unit, metric), over(self.run, other, unit, metric)) for unit in units])

    def mean(self, method: Candidate, units: Sequence[Unit], metric: str) -> float | None:
        """Mean over the units of the means over seeds, of the units on which the method ran."""
        found = [mean for unit in units if (mean := over(self.run, method, unit, metric).mean) is not None]
        return float(np.mean(found)) if found else None
