"""The two shapes of table: methods × settings beside the paper's numbers, and settings × metrics."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from peftuq.cells import PREDICTION, Setting
from peftuq.errors import UserError
from peftuq.metrics.evaluate import METRICS
from peftuq.metrics.ranks import Ranks, average_ranks
from peftuq.report.methods import FORMATS, Method
from peftuq.report.reference import Printed
from peftuq.report.run import Run
from peftuq.report.tables import NOT_ASKED, UNDEFINED, Column, Entry, Row, Table, in_blocks, mark_best, measured

CELL = "Model and dataset"  # what the headings of by-metric tables are
SPREAD = "mean ± standard deviation over the seeds"


class Headings:
    """What the settings of one section are called; a recipe is named only where there are several."""

    def __init__(self, run: Run, settings: Sequence[Setting]):
        self._titles = {name: model["title"] for name, model in run.models.items()}
        self._several = len({setting.recipe for setting in settings}) > 1

    def model(self, setting: Setting) -> str:
        return self._titles[setting.model] + (f", {setting.recipe}" if self._several else "")

    def setting(self, setting: Setting) -> str:
        return f"{self.model(setting)} on {setting.dataset}"

    def column(self, setting: Setting) -> Column:
        return Column(setting.dataset, self.model(setting))


@dataclass(frozen=True)
class Line:
    """A method's (or model's) numbers, one a column, in print units; the paper's own where the cell is the paper's.

    The paper's and the difference are printed with `decimals`.
    """

    title: str
    ours: list[Entry]
    paper: list[Printed | None]
    decimals: int = 1


def beside_paper(lines: Sequence[Line], better: Sequence[str]) -> list[Row]:
    """A row a line; where the paper has any of the cells, three: ours, the paper's, and the difference.

    `better` says of each column whether "higher" or "lower" is, for its best to be bold.
    """
    ours = _marked([line.ours for line in lines], better)
    paper = _marked([[_printed(number, line.decimals) for number in line.paper] for line in lines], better)
    if all(entry.empty for row in paper for entry in row):
        return [Row((line.title,), row) for line, row in zip(lines, ours, strict=True)]
    rows = []
    for line, own, printed in zip(lines, ours, paper, strict=True):
        rows += [
            Row((line.title, "ours"), own),
            Row((line.title, "paper"), printed),
            Row((line.title, "difference"), tuple(map(_difference, own, printed))),
        ]
    return rows


def _marked(rows: Sequence[Sequence[Entry]], better: Sequence[str]) -> list[tuple[Entry, ...]]:
    columns = zip(*rows, strict=True)
    return list(zip(*(mark_best(column, best) for column, best in zip(columns, better, strict=True)), strict=True))


def _printed(number: Printed | None, decimals: int) -> Entry:
    return Entry() if number is None else Entry(value=number.mean, std=number.std, decimals=decimals)


def _difference(ours: Entry, paper: Entry) -> Entry:
    if paper.value is None:
        return Entry()
    if ours.value is None:
        return Entry(NOT_ASKED)
    return Entry(value=ours.value - paper.value, decimals=paper.decimals, signed=True)


def table_of(
    spec: tuple[str, str, str],
    stub: str,
    runs: Sequence[Sequence[Column]],
    rows: Sequence[Row],
    remarks: Sequence[str] = (),
) -> Table:
    """A table of `beside_paper` rows, from its (name, title, caption); a second label of the rows has no head."""
    heads = (stub, "") if rows and len(rows[0].labels) == 2 else (stub,)
    return Table(*spec, heads, in_blocks(runs), tuple(rows), remarks=tuple(remarks))


# -- methods × settings ---------------------------------------------------------------------------------


def asked(run: Run, settings: Sequence[Setting], methods: Sequence[Method]) -> list[Method]:
    """The methods that the run was asked for in at least one of the settings."""
    return [m for m in methods if any(run.seeds(s, m.predictive, m.variant) for s in settings)]


def method_lines(
    run: Run,
    settings: Sequence[Setting],
    methods: Sequence[Method],
    paper: Callable[[Setting, Method], Printed | None],
    metric: str = "auroc",
) -> list[Line]:
    form = FORMATS[metric]
    return [
        Line(
            method.title,
            [
                measured(run.over_seeds(setting, metric, method.variant, method.predictive), form.scale, form.decimals)
                for setting in settings
            ],
            [paper(setting, method) for setting in settings],
        )
        for method in methods
    ]


def ranks(run: Run, settings: Sequence[Setting], methods: Sequence[Method], metric: str = "auroc") -> Ranks | None:
    """Average ranks, by `Method.key`, of the methods' means over the settings; None where no setting has all."""
    values = {m.key: {s: run.over_seeds(s, metric, m.variant, m.predictive).mean for s in settings} for m in methods}
    try:
        return average_ranks(values, METRICS[metric]["better"])
    except UserError:
        return None


def rank_entries(found: Ranks | None, methods: Sequence[Method], headings: Headings, decimals: int = 2) -> list[Entry]:
    """The methods' average ranks; cells that could not be ranked in a footnote."""
    if found is None:
        return [Entry(UNDEFINED, note="no cell has a value of every method") for _ in methods]
    left_out = ", ".join(headings.setting(setting) for setting in found.left_out)
    note = f"not ranked for want of a value of every method: {left_out}" if left_out else ""
    return [Entry(value=found.mean[m.key], decimals=decimals, note=note) for m in methods]


# -- settings × metrics ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Measure:
    """A column of metrics: `label` and `group` its heads, by default the metric's own name."""

    metric: str
    group: str = ""
    label: str = ""

    @property
    def column(self) -> Column:
        return Column(self.label or FORMATS[self.metric].label, self.group)


def metric_rows(
    run: Run,
    setting: Setting,
    heading: str,
    lines: Mapping[tuple[str, ...], tuple[str, str, str]],
    measures: Sequence[Measure],
) -> list[Row]:
    """Rows of one setting: `lines` are labels → (variant, predictive, evaluation set); the best of each column bold."""
    columns = []
    for measure in measures:
        form, better = FORMATS[measure.metric], METRICS[measure.metric]["better"]
        found = [run.over_seeds(setting, measure.metric, *line) for line in lines.values()]
        columns.append(mark_best([measured(over, form.scale, form.decimals) for over in found], better))
    return [Row(labels, entries, heading) for labels, entries in zip(lines, zip(*columns, strict=True), strict=True)]


def prediction(predictive: str) -> tuple[str, str, str]:
    """The line of a predictive distribution on the setting's own test split."""
    return (PREDICTION, predictive, "")


def score(method: Method, on: str = "") -> tuple[str, str, str]:
    return (method.variant, method.predictive, on)


def by_score(
    run: Run, settings: Sequence[Setting], wanted: Sequence[Method], spec: tuple[str, str, str], metrics: Sequence[str]
) -> Table:
    """A table with a heading a setting and a row a score, from its (name, title, caption)."""
    headings, rows = Headings(run, settings), []
    for setting in settings:
        lines = {(method.title,): score(method) for method in asked(run, [setting], wanted)}
        rows += metric_rows(run, setting, headings.setting(setting), lines, [Measure(metric) for metric in metrics])
    columns = tuple(Measure(metric).column for metric in metrics)
    return Table(*spec, ("Score",), columns, tuple(rows), CELL)
