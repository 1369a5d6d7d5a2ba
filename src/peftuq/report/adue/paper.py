"""The AdUE paper's tables, rebuilt from a run: Tables 1 to 4, 6, 7 and 8 of arXiv 2505.15443."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from peftuq.cells import Setting
from peftuq.metrics.evaluate import METRICS
from peftuq.report import methods, reference
from peftuq.report.beside_paper import (
    Line,
    beside_paper,
    method_lines,
    rank_entries,
    ranked,
    requested,
    stub,
    with_further,
)
from peftuq.report.headings import SPREAD, Headings
from peftuq.report.methods import FORMATS, Method
from peftuq.report.reference import Printed
from peftuq.report.run import KINDS, Run
from peftuq.report.tables import NOT_REQUESTED, Column, Entry, Row, Table, in_blocks, measured
from peftuq.report.words import counted

KIND_TITLES = {"encoder": "Encoders", "decoder": "Generative models"}
AUROC = f"ROC-AUC ×100 of telling errors from correct predictions, {SPREAD}."
RANK = (
    "Rank: average over the settings of that kind of model among the paper’s methods, 1 is best; beside it the "
    "paper’s, over its own ten settings."
)
BESIDE = (
    "Below ours, where model and dataset are the paper’s own: its value, and ours minus it. "
    "Bold: best of a column, ours and the paper’s apart."
)
ALONE = "Bold: best of a column."
RANKS = ("Rank", "Paper’s rank")


def of_kind(run: Run, settings: Sequence[Setting], kind: str) -> list[Setting]:
    return [setting for setting in settings if run.kind(setting) == kind]


def paper_auroc(run: Run, setting: Setting, method: Method) -> Printed | None:
    """The paper's number, where the setting's model and dataset are the paper's own."""
    model = run.models[setting.model]["paper_names"].get("adue")
    return reference.adue_auroc().get((model, setting.dataset, method.paper))


@dataclass(frozen=True)
class AurocTable:
    """Methods × settings, and after the settings of each kind of model the average rank over them.

    `printed` is the paper's table, `rows` which scores have one beside the paper's `methods`: all of the run's by
    default. Ranks are among the paper's methods. None where the run was asked for no score.
    """

    name: str
    title: str
    methods: Sequence[Method]
    printed: str
    kinds: tuple[str, ...] = KINDS
    rows: Callable[[Run, Sequence[Setting], Sequence[Method]], list[Method]] = with_further

    def __call__(self, run: Run, settings: Sequence[Setting]) -> Table | None:
        here = [setting for setting in settings if run.kind(setting) in self.kinds]
        shown = self.rows(run, here, self.methods)
        if not shown:
            return None
        headings = Headings(run, here)
        runs: list[list[Column]] = []
        lines = [Line(method.title, [], []) for method in shown]
        for kind in self.kinds:
            if alike := of_kind(run, here, kind):
                runs.append([*map(headings.column, alike), *(Column(label, KIND_TITLES[kind]) for label in RANKS)])
                more = _with_ranks(run, alike, shown, headings, (self.printed, kind))
                for line, added in zip(lines, more, strict=True):
                    line.ours.extend(added.ours)
                    line.paper.extend(added.paper)
        better = ["lower" if column.label in RANKS else "higher" for columns in runs for column in columns]
        rows = beside_paper(lines, better)
        caption = f"{AUROC} {RANK} {_reading(rows)}"
        remarks = _not_requested(self.methods, shown)
        return Table(
            self.name,
            f"{self.title} (the paper’s {self.printed}).",
            caption,
            stub("Method", rows),
            in_blocks(runs),
            tuple(rows),
            remarks=remarks,
        )


def _with_ranks(
    run: Run, settings: Sequence[Setting], shown: Sequence[Method], headings: Headings, printed: tuple[str, str]
) -> list[Line]:
    lines = method_lines(run, settings, shown, lambda s, m: paper_auroc(run, s, m))
    among = [method for method in shown if method.paper]
    ranks = dict(zip(among, rank_entries(ranked(run, settings, among), among, headings), strict=True))
    for method, line in zip(shown, lines, strict=True):
        paper = reference.adue_ranks().get((*printed, method.paper))
        rank = ranks.get(method, Entry(NOT_REQUESTED))
        line.ours.extend([rank, Entry(NOT_REQUESTED) if paper is None else Entry(value=paper, decimals=1)])
        line.paper.extend([None, None])
    return lines


def ablation_ranks(run: Run, settings: Sequence[Setting]) -> Table | None:
    shown = requested(run, settings, methods.ABLATIONS)
    if not shown:
        return None
    found = ranked(run, settings, shown)
    entries = rank_entries(found, shown, Headings(run, settings))
    papers = [reference.adue_ranks()["Table 2", "all", method.paper] for method in shown]
    lines = [
        Line(method.title, [rank, Entry(value=paper, decimals=2)], [None, None])
        for method, rank, paper in zip(shown, entries, papers, strict=True)
    ]
    rows = beside_paper(lines, ["lower", "lower"])
    number = len(found.cells) if found else 0
    caption = (
        f"Average rank by error-AUROC over {counted(number, 'setting')} of this run (1 is best, ties share the mean), "
        "and the paper’s over its twenty. Bold: best of each column."
    )
    spec = ("adue_table2_ablation_ranks", "Ranks of the ablations (the paper’s Table 2).", caption)
    columns = tuple(map(Column, RANKS))
    remarks = _not_requested(methods.ABLATIONS, shown)
    return Table(*spec, stub("Method", rows), columns, tuple(rows), remarks=remarks)


def accuracy(run: Run, settings: Sequence[Setting]) -> Table:
    """Models × datasets."""
    headings = Headings(run, settings)
    datasets = list(dict.fromkeys(setting.dataset for setting in settings))
    models = {(setting.model, setting.recipe): headings.model(setting) for setting in settings}
    lines = []
    for (model, recipe), title in models.items():
        here = [Setting(model, dataset, recipe) for dataset in datasets]
        paper_name = run.models[model]["paper_names"].get("adue")
        lines.append(
            Line(
                title,
                [measured(run.over_seeds(setting, "accuracy"), FORMATS["accuracy"].scale) for setting in here],
                [reference.adue_accuracy().get((paper_name, s.dataset)) if s in settings else None for s in here],
            )
        )
    rows = beside_paper(lines, [METRICS["accuracy"]["better"]] * len(datasets))
    caption = f"Accuracy on the test split in per cent, {SPREAD}. {_reading(rows)}"
    spec = ("adue_table6_accuracy", "Accuracy of the fine-tuned models (the paper’s Table 6).", caption)
    columns = in_blocks([[Column(dataset) for dataset in datasets]])
    return Table(*spec, stub("Model", rows), columns, tuple(rows))


def _reading(rows: Sequence[Row]) -> str:
    return BESIDE if len(rows[0].labels) == 2 else ALONE


def _not_requested(wanted: Sequence[Method], shown: Sequence[Method]) -> tuple[str, ...]:
    left_out = [method.title for method in wanted if method not in shown]
    return (f"Not part of this run: {', '.join(left_out)}.",) if left_out else ()


def _of_kind(number: int, kind: str, key: str, title: str, wanted: Sequence[Method], *rows) -> AurocTable:
    name, title = f"adue_table{number}_{key}_{kind}s", f"{title}, {KIND_TITLES[kind].lower()}"
    return AurocTable(name, title, wanted, f"Table {number}", (kind,), *rows)


LOSSES = ("ablation", "Ablation of the loss and of the start", methods.ABLATIONS, requested)
RAW = ("all", "Raw and L2-normalised representations", methods.EVERY)
TABLES = (  # in the paper's order
    AurocTable("adue_table1_error_auroc", "Error detection", methods.HEADLINE, "Table 1"),
    ablation_ranks,
    _of_kind(3, "encoder", *LOSSES),
    _of_kind(4, "decoder", *LOSSES),
    accuracy,
    _of_kind(7, "encoder", *RAW),
    _of_kind(8, "decoder", *RAW),
)
