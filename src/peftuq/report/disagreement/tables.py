"""How far calibration and error detection move with one change: on each model and dataset, and over all of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from peftuq.cells import Setting
from peftuq.report.disagreement import factors
from peftuq.report.disagreement.differences import METRICS, Comparison, Difference, of_seeds
from peftuq.report.disagreement.factors import Side
from peftuq.report.intervals import FEWEST, mean_gap
from peftuq.report.run import Run
from peftuq.report.tables import MISSING, NOT_REQUESTED, Column, Entry, Row, Table, measured

OVER = "Model and dataset"
SEED = "Seed"
NO_SEED = "the two methods have no common seed with a value"


@dataclass(frozen=True)
class Subject:
    """All changes of a run, by the model and dataset of their bases."""

    run: Run
    settings: Sequence[Setting]

    @cached_property
    def comparisons(self) -> list[Comparison]:
        return [Comparison(self.run, change) for change in factors.changes(self.run, self.settings)]

    @cached_property
    def groups(self) -> dict[str, list[Comparison]]:
        """Comparisons by the title of the model and dataset."""
        found: dict[str, list[Comparison]] = {}
        for one in self.comparisons:
            setting = one.change.base.setting
            title = f"{self.run.models[setting.model]['title']} on {setting.dataset}"
            found.setdefault(title, []).append(one)
        return found


def base(comparisons: Sequence[Comparison]) -> Side:
    """The method that most of a group's changes begin at."""
    sides = [comparison.change.base for comparison in comparisons]
    return max(dict.fromkeys(sides), key=sides.count)


def each(run: Run, subject: Subject) -> Table | None:
    """A row for each change on each model and dataset."""
    rows = []
    for title, comparisons in subject.groups.items():
        rows += [Row(one.change.key, _entries(one), title) for one in comparisons]
        rows.append(Row((SEED, "another"), _seeds(run, base(comparisons)), title))
    columns = tuple(Column(label, group) for group in METRICS.values() for label in ("before", "after", "difference"))
    caption = (
        "One thing is changed, from what stands before the arrow to what stands after it; a mixture, a posterior or "
        "samples are compared with their own kind. Differences are means over the seeds that both have, with 95 % "
        "intervals of a paired bootstrap over the test examples; where these are not the same (another split), of "
        "Student’s t over three seeds or more. The last row of each: the mean absolute difference between two seeds."
    )
    return _table("disagreement", "How far one change moves the numbers.", caption, columns, rows, OVER)


def _entries(one: Comparison) -> tuple[Entry, ...]:
    entries: list[Entry] = []
    for metric in METRICS:
        entries += [measured(one.over(metric, other=other), 100, 1) for other in (False, True)]
        entries.append(_difference(one.found[metric]))
    return tuple(entries)


def _difference(found: Difference | None) -> Entry:
    if found is None:
        return Entry(MISSING, note=NO_SEED)
    interval = None if found.interval is None else (100 * found.interval[0], 100 * found.interval[1])
    return Entry(value=100 * found.estimate, interval=interval, decimals=1, signed=True)


def _seeds(run: Run, side: Side) -> tuple[Entry, ...]:
    entries: list[Entry] = []
    for metric in METRICS:
        apart = of_seeds(run, side, metric)
        entries += [Entry(NOT_REQUESTED), Entry(NOT_REQUESTED)]
        entries.append(Entry(NOT_REQUESTED) if apart is None else Entry(value=100 * apart, decimals=1))
    return tuple(entries)


def over_all(_: Run, subject: Subject) -> Table | None:
    """A row for each change that several models or datasets have."""
    found: dict[tuple[str, str], list[Comparison]] = {}
    for comparison in subject.comparisons:
        found.setdefault(comparison.change.key, []).append(comparison)
    rows = [Row(key, _summary(several)) for key, several in found.items() if len(several) > 1]
    moves = (Column(label, group) for group in METRICS.values() for label in ("difference", "absolute"))
    columns = (Column("Settings"), *moves)
    caption = (
        "Means over the models and datasets that have the change: of its difference, with Student’s 95 % interval "
        "over at least three of them, and of the difference without its sign."
    )
    return _table("disagreement_all", "How far one change moves the numbers, on average.", caption, columns, rows)


def _summary(comparisons: Sequence[Comparison]) -> tuple[Entry, ...]:
    entries = [Entry(str(len(comparisons)))]
    for metric in METRICS:
        means = [float(np.mean(found)) for one in comparisons if (found := one.differences(metric))]
        if not means:
            entries += [Entry(MISSING, note=NO_SEED), Entry(NOT_REQUESTED)]
            continue
        gap = mean_gap(means, "setting")
        interval = (100 * gap.low, 100 * gap.high) if gap.number >= FEWEST else None
        entries.append(Entry(value=100 * gap.estimate, interval=interval, decimals=1, signed=True))
        entries.append(Entry(value=100 * float(np.mean(np.abs(means))), decimals=1))
    return tuple(entries)


def _table(
    name: str, title: str, caption: str, columns: tuple[Column, ...], rows: list[Row], over: str = ""
) -> Table | None:
    stub = ("What changes", "From → to")
    return Table(name, title, caption, stub, columns, tuple(rows), over) if rows else None
