"""Differences over settings or seeds, in words that never leave out their interval."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit

from peftuq.report.run import OverSeeds
from peftuq.report.words import counted, signed

Pair = tuple[OverSeeds, OverSeeds]
UNDISTINGUISHED = "not distinguishable"
FEWEST = 3  # values of an interval: two are easily alike, as accuracies on few examples are


class Gap(NamedTuple):
    """A mean difference over `number` settings, or seeds of one, with its 95 % interval (Student's t).

    Fewer than `FEWEST` values have no interval: `low` and `high` are infinite.
    """

    estimate: float
    low: float
    high: float
    number: int
    unit: str

    def side(self, lower: str = "lower", higher: str = "higher") -> str:
        """`lower` or `higher` where the interval leaves out zero."""
        if self.high < 0:
            return lower
        return higher if self.low > 0 else UNDISTINGUISHED

    @property
    def text(self) -> str:
        """The difference in points of per cent."""
        estimate = f"{signed(100 * self.estimate)} points"
        if math.isinf(self.low):
            return f"{estimate} ({counted(self.number, self.unit)}: no interval)"
        return f"{estimate} [{signed(100 * self.low)}, {signed(100 * self.high)}]"


def means(pairs: Sequence[Pair]) -> tuple[float, float]:
    """The means of one and of the other over the pairs and the seeds that both have; nan without any."""
    common = [(pair, pair[0].values.keys() & pair[1].values.keys()) for pair in pairs]
    one, other = (
        float(np.mean([np.mean([pair[side].values[seed] for seed in seeds]) for pair, seeds in common if seeds]))
        for side in (0, 1)
    )
    return one, other


def paired(one: OverSeeds, other: OverSeeds) -> list[float]:
    """The differences one − other of the seeds that both have."""
    return [value - other.values[seed] for seed, value in one.values.items() if seed in other.values]


def mean_gap(values: Sequence[float], unit: str) -> Gap:
    """The mean of at least one difference."""
    estimate, half = float(np.mean(values)), math.inf
    if len(values) >= FEWEST:
        half = float(stdtrit(len(values) - 1, 0.975) * np.std(values, ddof=1) / math.sqrt(len(values)))
    return Gap(estimate, estimate - half, estimate + half, len(values), unit)


def gap(pairs: Sequence[Pair], unit: str = "setting") -> Gap | None:
    """The mean difference one − other: over the pairs (one a `unit`), or over the seeds of the only one.

    Pairs without a common seed are left out; None where none is left.
    """
    found = [differences for pair in pairs if (differences := paired(*pair))]
    if not found:
        return None
    if len(found) == 1:
        return mean_gap(found[0], "seed")
    return mean_gap([float(np.mean(differences)) for differences in found], unit)


def compared(pairs: Sequence[Pair], unit: str = "setting", lower: str = "lower", higher: str = "higher") -> str:
    """The mean difference with its interval, and in how many of the pairs one is `lower` or `higher`; "" for none.

    Two without a common seed cannot be compared: they are counted.
    """
    whole = gap(pairs, unit)
    if whole is None:
        return ""
    sides = [each.side(lower, higher) for pair in pairs if (each := gap([pair])) is not None]
    if len(sides) == 1:
        seeds = f" over {counted(whole.number, 'seed')} of" if whole.number > 1 else " in"
        text = f"{whole.text}{seeds} one {unit}: {whole.side(lower, higher)}"
    else:
        counts = ", ".join(f"{side} in {sides.count(side)}" for side in (lower, higher, UNDISTINGUISHED))
        over = f"{whole.text} over {counted(whole.number, unit)}"
        text = f"{over}: {whole.side(lower, higher)} on average; by {unit}, {counts}"
    apart = len(pairs) - len(sides)
    return text + (f"; {counted(apart, unit)} without a common seed cannot be compared" if apart else "")
