"""The AdUE paper's tables, rebuilt from a run: Tables 1 to 4, 6, 7 and 8 of arXiv 2505.15443."""

from collections.abc import Sequence

from peftuq.cells import Setting
from peftuq.metrics.evaluate import METRICS
from peftuq.report import layouts, methods, reference
from peftuq.report.layouts import Headings, Line
from peftuq.report.methods import FORMATS, Method
from peftuq.report.reference import Printed
from peftuq.report.run import KINDS, Run
from peftuq.report.tables import Column, Entry, Row, Table, measured
from peftuq.report.words import counted

KIND_TITLES = {"encoder": "Encoders", "decoder": "Generative models"}
AUROC = f"ROC-AUC ×100 of telling errors from correct predictions, {layouts.SPREAD}."
RANK = "Rank: average over the cells of that kind of model, 1 is best; beside it the paper’s, over its own ten cells."
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


def tables(run: Run, settings: Sequence[Setting]) -> list[Table]:
    """Those of the paper's tables that the run has a cell of, in the paper's order."""
    headline = _auroc_table(
        run, settings, methods.HEADLINE, "adue_table1_error_auroc", "Error detection (the paper’s Table 1).", "Table 1"
    )
    found = [headline, _ablation_ranks(run, settings)]
    found += [
        _auroc_table(
            run,
            of_kind(run, settings, kind),
            methods.ABLATIONS,
            f"adue_table{number}_ablation_{kind}s",
            f"Ablation of the loss and of the start, {KIND_TITLES[kind].lower()} (the paper’s Table {number}).",
            f"Table {number}",
        )
        for kind, number in zip(KINDS, (3, 4), strict=True)
    ]
    found.append(_accuracy(run, settings))
    found += [
        _auroc_table(
            run,
            of_kind(run, settings, kind),
            methods.EVERY,
            f"adue_table{number}_all_{kind}s",
            f"Raw and L2-normalised representations, {KIND_TITLES[kind].lower()} (the paper’s Table {number}).",
            f"Table {number}",
        )
        for kind, number in zip(KINDS, (7, 8), strict=True)
    ]
    return [table for table in found if table is not None]


def _auroc_table(
    run: Run, settings: Sequence[Setting], wanted: Sequence[Method], name: str, title: str, printed: str
) -> Table | None:
    """Methods × settings, and after the settings of each kind of model the average rank over them."""
    shown = layouts.asked(run, settings, wanted)
    if not shown:
        return None
    headings = Headings(run, settings)
    runs: list[list[Column]] = []
    lines = [Line(method.title, [], []) for method in shown]
    for kind in KINDS:
        here = of_kind(run, settings, kind)
        if here:
            runs.append([*map(headings.column, here), *(Column(label, KIND_TITLES[kind]) for label in RANKS)])
            for line, more in zip(lines, _with_ranks(run, here, shown, headings, (printed, kind)), strict=True):
                line.ours.extend(more.ours)
                line.paper.extend(more.paper)
    better = ["lower" if column.label in RANKS else "higher" for columns in runs for column in columns]
    rows = layouts.beside_paper(lines, better)
    spec = (name, title, f"{AUROC} {RANK} {_reading(rows)}")
    return layouts.table_of(spec, "Method", runs, rows, _not_asked(wanted, shown))


def _with_ranks(
    run: Run, settings: Sequence[Setting], shown: Sequence[Method], headings: Headings, printed: tuple[str, str]
) -> list[Line]:
    lines = layouts.method_lines(run, settings, shown, lambda s, m: paper_auroc(run, s, m))
    ranks = layouts.rank_entries(layouts.ranks(run, settings, shown), shown, headings)
    for method, line, rank in zip(shown, lines, ranks, strict=True):
        paper = reference.adue_ranks()[(*printed, method.paper)]
        line.ours.extend([rank, Entry(value=paper, decimals=1)])
        line.paper.extend([None, None])
    return lines


def _ablation_ranks(run: Run, settings: Sequence[Setting]) -> Table | None:
    shown = layouts.asked(run, settings, methods.ABLATIONS)
    if not shown:
        return None
    found = layouts.ranks(run, settings, shown)
    entries = layouts.rank_entries(found, shown, Headings(run, settings))
    papers = [reference.adue_ranks()["Table 2", "all", method.paper] for method in shown]
    lines = [
        Line(method.title, [rank, Entry(value=paper, decimals=2)], [None, None])
        for method, rank, paper in zip(shown, entries, papers, strict=True)
    ]
    rows = layouts.beside_paper(lines, ["lower", "lower"])
    ranked = len(found.cells) if found else 0
    caption = (
        f"Average rank by error-AUROC over {counted(ranked, 'cell')} of this run (1 is best, ties share the mean), "
        "and the paper’s over its twenty. Bold: best of each column."
    )
    spec = ("adue_table2_ablation_ranks", "Ranks of the ablations (the paper’s Table 2).", caption)
    columns = [Column(label) for label in RANKS]
    return layouts.table_of(spec, "Method", [columns], rows, _not_asked(methods.ABLATIONS, shown))


def _accuracy(run: Run, settings: Sequence[Setting]) -> Table:
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
    rows = layouts.beside_paper(lines, [METRICS["accuracy"]["better"]] * len(datasets))
    caption = f"Accuracy on the test split in per cent, {layouts.SPREAD}. {_reading(rows)}"
    spec = ("adue_table6_accuracy", "Accuracy of the fine-tuned models (the paper’s Table 6).", caption)
    return layouts.table_of(spec, "Model", [[Column(dataset) for dataset in datasets]], rows)


def _reading(rows: Sequence[Row]) -> str:
    return BESIDE if len(rows[0].labels) == 2 else ALONE


def _not_asked(wanted: Sequence[Method], shown: Sequence[Method]) -> list[str]:
    left_out = [method.title for method in wanted if method not in shown]
    return [f"Not part of this run: {', '.join(left_out)}."] if left_out else []
