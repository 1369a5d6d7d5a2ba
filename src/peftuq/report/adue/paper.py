"""The AdUE paper's tables, rebuilt from a run: Tables 1 to 4, 6, 7 and 8 of arXiv 2505.15443."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from peftuq.cells import Setting
from peftuq.report import methods, reference
from peftuq.report.declared import Block, DeclaredTable, Field
from peftuq.report.headings import SPREAD, Headings
from peftuq.report.methods import Method
from peftuq.report.metric_table import metric_field
from peftuq.report.reference import Printed
from peftuq.report.requested import rank_entries, ranked, requested, with_further, with_scores
from peftuq.report.run import KINDS, OverSeeds, Run
from peftuq.report.tables import NOT_REQUESTED, Column, Entry

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


Settings = Sequence[Setting]
AurocTable = DeclaredTable[Settings, Method]
Rows = Callable[[Run, Settings, Sequence[Method]], list[Method]]


def auroc_field(run: Run, setting: Setting, headings: Headings) -> Field[Method]:
    """A setting's error-AUROC, beside the paper's where the setting is the paper's own."""

    def over(method: Method) -> OverSeeds:
        return run.over_seeds(setting, "auroc", method.variant, method.predictive)

    return metric_field("auroc", over, headings.column(setting), partial(paper_auroc, run, setting))


def rank_fields(
    run: Run, settings: Settings, among: Sequence[Method], printed: tuple[str, str], group: str = "", decimals: int = 1
) -> list[Field[Method]]:
    """The average rank over the settings among some methods, and the paper's; a dash for any other method."""
    entries = rank_entries(ranked(run, settings, among), among, Headings(run, settings))
    ranks = dict(zip(among, entries, strict=True))

    def of_paper(method: Method) -> Entry:
        rank = reference.adue_ranks().get((*printed, method.paper))
        return Entry(NOT_REQUESTED) if rank is None else Entry(value=rank, decimals=decimals)

    ours, papers = (Column(label, group) for label in RANKS)
    return [
        Field(ours, lambda method: ranks.get(method, Entry(NOT_REQUESTED)), "lower"),
        Field(papers, of_paper, "lower"),
    ]


def auroc_table(
    name: str,
    title: str,
    wanted: Sequence[Method],
    printed: str,
    kinds: tuple[str, ...] = KINDS,
    rows: Rows = with_further,
) -> AurocTable:
    """Methods × settings, and after the settings of each kind of model the average rank over them.

    `printed` is the paper's table, `rows` which scores have one beside the paper's `wanted`: all of the run's by
    default. Ranks are among the paper's methods.
    """

    def blocks(run: Run, settings: Settings) -> list[Block[Method]]:
        here = [s for s in settings if run.kind(s) in kinds]
        shown, headings = rows(run, here, wanted), Headings(run, here)
        among = [method for method in shown if method.paper]
        runs = [
            [
                *(auroc_field(run, setting, headings) for setting in alike),
                *rank_fields(run, alike, among, (printed, kind), KIND_TITLES[kind]),
            ]
            for kind in kinds
            if (alike := of_kind(run, settings, kind))
        ]
        return [Block(shown, runs)]

    return DeclaredTable(
        name,
        f"{title} (the paper’s {printed}).",
        f"{AUROC} {RANK}",
        ("Method",),
        blocks,
        alone=ALONE,
        beside=BESIDE,
        remarks=partial(_not_requested, wanted),
    )


def _ablations(run: Run, settings: Settings) -> list[Block[Method]]:
    shown = requested(run, settings, methods.ABLATIONS)
    return [Block(shown, [rank_fields(run, settings, shown, ("Table 2", "all"), decimals=2)])]


ABLATION_RANKS = DeclaredTable[Settings, Method](
    "adue_table2_ablation_ranks",
    "Ranks of the ablations (the paper’s Table 2).",
    "Average rank by error-AUROC over the settings of this run in which every one has a value (1 is best, ties share "
    "the mean), and the paper’s over its twenty. Bold: best of each column.",
    ("Method",),
    _ablations,
    remarks=lambda shown: _not_requested(methods.ABLATIONS, shown),
)


class Adapted(NamedTuple):
    """A row: a model with a recipe."""

    model: str
    recipe: str
    title: str


def _adapted(run: Run, settings: Settings) -> list[Adapted]:
    headings = Headings(run, settings)
    return list(dict.fromkeys(Adapted(s.model, s.recipe, headings.model(s)) for s in settings))


def _accuracies(run: Run, settings: Settings) -> list[Block[Adapted]]:
    def field(dataset: str) -> Field[Adapted]:
        def printed(row: Adapted) -> Printed | None:
            name = run.models[row.model]["paper_names"].get("adue")
            there = Setting(row.model, dataset, row.recipe) in settings
            return reference.adue_accuracy().get((name, dataset)) if there else None

        def over(row: Adapted) -> OverSeeds:
            return run.over_seeds(Setting(row.model, dataset, row.recipe), "accuracy")

        return metric_field("accuracy", over, Column(dataset), printed)

    datasets = dict.fromkeys(setting.dataset for setting in settings)
    return [Block(_adapted(run, settings), [list(map(field, datasets))])]


ACCURACY = DeclaredTable[Settings, Adapted](
    "adue_table6_accuracy",
    "Accuracy of the fine-tuned models (the paper’s Table 6).",
    f"Accuracy on the test split in per cent, {SPREAD}.",
    ("Model",),
    _accuracies,
    alone=ALONE,
    beside=BESIDE,
)


def _not_requested(wanted: Sequence[Method], shown: Sequence[Method]) -> tuple[str, ...]:
    left_out = [method.title for method in wanted if method not in shown]
    return (f"Not part of this run: {', '.join(left_out)}.",) if left_out else ()


def _of_kind(number: int, kind: str, key: str, title: str, wanted: Sequence[Method], *rows: Rows) -> AurocTable:
    name, title = f"adue_table{number}_{key}_{kind}s", f"{title}, {KIND_TITLES[kind].lower()}"
    return auroc_table(name, title, wanted, f"Table {number}", (kind,), *rows)


LOSSES = ("ablation", "Ablation of the loss and of the start", methods.ABLATIONS, requested)
RAW = ("all", "Raw and L2-normalised representations", methods.EVERY)
TABLES = (  # in the paper's order
    auroc_table("adue_table1_error_auroc", "Error detection", methods.HEADLINE, "Table 1", rows=with_scores),
    ABLATION_RANKS,
    _of_kind(3, "encoder", *LOSSES),
    _of_kind(4, "decoder", *LOSSES),
    ACCURACY,
)
EVERY_SCORE = (_of_kind(7, "encoder", *RAW), _of_kind(8, "decoder", *RAW))
