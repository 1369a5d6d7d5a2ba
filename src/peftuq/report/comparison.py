"""A setting's scores compared in pairs on one evaluation set, and which other is a method's best rival."""

from collections.abc import Container, Mapping
from typing import Any, NamedTuple

import numpy as np


class Difference(NamedTuple):
    """Mean error-AUROC of `method` minus that of `other` over the `seeds` that both have, with its 95 % interval."""

    method: str
    other: str
    estimate: float
    low: float
    high: float
    seeds: tuple[int, ...]

    @property
    def reversed(self) -> "Difference":
        return Difference(self.other, self.method, -self.estimate, -self.high, -self.low, self.seeds)


class Comparison:
    """Methods are named "predictive/variant", as by `evaluation.compare.pairwise`, whose result this reads."""

    def __init__(self, found: Mapping[str, Any]):
        self._auroc: Mapping[str, Mapping[str, float | None]] = found["auroc"]
        self._differences: dict[str, dict[str, Difference]] = {name: {} for name in self._auroc}
        for row in found["differences"]:
            difference = Difference(**{**row, "seeds": tuple(row["seeds"])})
            for one in (difference, difference.reversed):
                self._differences[one.method][one.other] = one

    @property
    def methods(self) -> list[str]:
        return list(self._auroc)

    def mean(self, method: str, seeds: Container[int] | None = None) -> float | None:
        """Mean AUROC over `seeds`, by default over all that it is defined for; None without any."""
        values = [
            value
            for seed, value in self._auroc.get(method, {}).items()
            if value is not None and (seeds is None or int(seed) in seeds)
        ]
        return float(np.mean(values)) if values else None

    def difference(self, method: str, other: str) -> Difference | None:
        """The difference of two methods; None where they have no seed in common."""
        return self._differences.get(method, {}).get(other)

    def best_other(self, method: str, among: Container[str]) -> Difference | None:
        """The difference to the best of the methods `among`, itself left out: the one it loses most to, or beats least.

        Each is compared over the seeds that both have; None where no other has one.
        """
        others = [d for other, d in self._differences.get(method, {}).items() if other in among]
        return min(others, key=lambda difference: difference.estimate, default=None)

    def same_order(self, method: str) -> set[str]:
        """The methods that order the examples as `method` does: their difference is 0 in every resample."""
        differences = self._differences.get(method, {})
        return {other for other, d in differences.items() if d.estimate == d.low == d.high == 0}

    def best(self) -> str | None:
        """The method with the highest mean AUROC; None where none is defined."""
        means = {method: mean for method in self._auroc if (mean := self.mean(method)) is not None}
        return max(means, key=means.__getitem__, default=None)
