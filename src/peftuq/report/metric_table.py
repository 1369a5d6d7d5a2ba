"""Tables of metrics: a heading for each setting, a row for each source of numbers, a column for each metric."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple, TypeVar

from peftuq.cells import PREDICTION, Setting
from peftuq.metrics.evaluate import METRICS
from peftuq.report.declared import Block, DeclaredTable, Field
from peftuq.report.headings import Headings
from peftuq.report.methods import FORMATS, Method
from peftuq.report.reference import Printed
from peftuq.report.requested import with_further
from peftuq.report.run import OverSeeds, Run
from peftuq.report.tables import Column, Entry, measured

R = TypeVar("R")
SETTING = "Model and dataset"  # what the headings over rows of one setting are


class Source(NamedTuple):
    """The source of a row's numbers; `on` is a shift set, "" the setting's own test split."""

    variant: str
    predictive: str
    on: str = ""


class Line(NamedTuple):
    """A row: `first` of its setting and evaluation set, or not."""

    labels: tuple[str, ...]
    setting: Setting
    source: Source
    first: bool


Lines = Mapping[tuple[str, ...], Source]  # the labels of a row → its source
MetricTable = DeclaredTable[Sequence[Setting], Line]


def metric_field(
    metric: str,
    over: Callable[[R], OverSeeds],
    column: Column | None = None,
    compared_with: Callable[[R], Printed | None] = lambda row: None,
    among: Callable[[R], Hashable] = lambda row: None,
) -> Field[R]:
    """A column of a metric, in its print units, of what a row has `over` its seeds."""
    form = FORMATS[metric]

    def entry(row: R) -> Entry:
        return measured(over(row), form.scale, form.decimals)

    return Field(column or Column(form.label), entry, METRICS[metric]["better"], compared_with, among)


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

    def field(self, run: Run) -> Field[Line]:
        """The best on each evaluation set is bold."""

        def over(line: Line) -> OverSeeds:
            return run.over_seeds(line.setting, self.metric, *line.source)

        field = metric_field(self.metric, over, self.column, among=lambda line: line.source.on)
        return field if self.better is None else replace(field, better=self.better)


@dataclass(frozen=True)
class Derived:
    """A column that no metric of the long table fills."""

    column: Column
    entry: Callable[[Run, Line], Entry]

    def field(self, run: Run) -> Field[Line]:
        return Field(self.column, partial(self.entry, run))


def metric_table(
    name: str,
    title: str,
    caption: str,
    stub: tuple[str, ...],
    lines: Callable[[Run, Setting], Lines],
    columns: Sequence[Measure | Derived],
    over: str = SETTING,
) -> MetricTable:
    """The table of some settings; none where no setting has a line."""

    def blocks(run: Run, settings: Sequence[Setting]) -> list[Block[Line]]:
        headings = Headings(run, settings)
        fields = [column.field(run) for column in columns]
        return [Block(rows_of(lines(run, s), s), [fields], headings.setting(s)) for s in settings]

    return DeclaredTable(name, title, caption, stub, blocks, over, labels_of, widest=len(columns))


def labels_of(line: Line) -> tuple[str, ...]:
    """The labels of a row."""
    return line.labels


def rows_of(lines: Lines, setting: Setting) -> list[Line]:
    """The rows of a setting."""
    first = {source.on: labels for labels, source in reversed(lines.items())}
    return [Line(labels, setting, source, first[source.on] == labels) for labels, source in lines.items()]


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
