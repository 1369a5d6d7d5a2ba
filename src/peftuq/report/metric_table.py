"""A table that is declared: a heading for each setting, a row for each line, a column for each metric."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

from peftuq.cells import PREDICTION, Setting
from peftuq.metrics.evaluate import METRICS
from peftuq.report.beside_paper import with_further
from peftuq.report.headings import Headings
from peftuq.report.methods import FORMATS, Method
from peftuq.report.run import Run
from peftuq.report.tables import Column, Entry, Row, Table, mark_best, measured

SETTING = "Model and dataset"  # what the headings over rows of one setting are


class Source(NamedTuple):
    """The source of a row's numbers; `on` is a shift set, "" the setting's own test split."""

    variant: str
    predictive: str
    on: str = ""


Lines = Mapping[tuple[str, ...], Source]  # the labels of a row → its source


@dataclass(frozen=True)
class Measure:
    """A column of a metric: `label` and `group` its heads, by default the metric's own name.

    `better`: "higher" or "lower", by default as the metric's is; with any other word no entry is bold.
    """

    metric: str
    group: str = ""
    label: str = ""
    better: str | None = None

    @property
    def column(self) -> Column:
        return Column(self.label or FORMATS[self.metric].label, self.group)

    def entries(self, run: Run, setting: Setting, sources: Sequence[Source]) -> list[Entry]:
        """An entry a source; the best on each evaluation set is bold."""
        form, found = FORMATS[self.metric], []
        better = METRICS[self.metric]["better"] if self.better is None else self.better
        for _, here in groupby(sources, key=lambda source: source.on):
            over = [run.over_seeds(setting, self.metric, *source) for source in here]
            entries = [measured(one, form.scale, form.decimals) for one in over]
            found += mark_best(entries, better)
        return found


@dataclass(frozen=True)
class Derived:
    """A column that no metric of the long table fills."""

    column: Column
    entries: Callable[[Run, Setting, Sequence[Source]], list[Entry]]


@dataclass(frozen=True)
class MetricTable:
    """Called with a run and its settings it is the table; None where no setting has a line."""

    name: str
    title: str
    caption: str
    stub: tuple[str, ...]
    lines: Callable[[Run, Setting], Lines]
    columns: tuple[Measure | Derived, ...]
    over: str = SETTING

    def __call__(self, run: Run, settings: Sequence[Setting]) -> Table | None:
        headings, rows = Headings(run, settings), []
        for setting in settings:
            lines = self.lines(run, setting)
            columns = [column.entries(run, setting, list(lines.values())) for column in self.columns]
            entries = zip(*columns, strict=True)
            rows += [Row(labels, e, headings.setting(setting)) for labels, e in zip(lines, entries, strict=True)]
        if not rows:
            return None
        heads = tuple(column.column for column in self.columns)
        return Table(self.name, self.title, self.caption, self.stub, heads, tuple(rows), self.over)


def prediction(predictive: str, on: str = "") -> Source:
    """The source of a predictive distribution's own metrics."""
    return Source(PREDICTION, predictive, on)


def of_scores(methods: Sequence[Method]) -> Callable[[Run, Setting], Lines]:
    """A row for each score that the run was asked for, on the setting's own test split; `methods` come first."""
    return lambda run, setting: {
        (method.title,): Source(method.variant, method.predictive) for method in with_further(run, [setting], methods)
    }


def of_probabilities(methods: Sequence[Method]) -> Callable[[Run, Setting], Lines]:
    """As `of_scores`, of the scores that are declared to be probabilities of error."""
    return lambda run, setting: {
        labels: source
        for labels, source in of_scores(methods)(run, setting).items()
        if source.variant in run.probabilities()
    }
