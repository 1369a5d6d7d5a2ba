"""The AdUE paper's tables, rebuilt from a run: Tables 1 to 4, 6, 7 and 8 of arXiv 2505.15443."""

from collections.abc import Sequence

from peftuq.metrics.evaluate import METRICS
from peftuq.report import layouts, methods, reference
from peftuq.report.layouts import Headings, Line
from peftuq.report.methods import FORMATS, Method
from peftuq.report.reference import Printed
from peftuq.report.run import KINDS, Run, Setting
from peftuq.report.tables import NOT_ASKED, Column, Entry, Row, Table, measured

KIND_TITLES = {"encoder": "Encoders", "decoder": "Generative models"}
AUROC = (
    "ROC-AUC ×100 of telling errors from correct predictions (50: chance, 100: perfect). " + layouts.SPREAD
)
RANK = (
    "Rank: average rank over the cells to its left (1 is best, ties share the mean rank); "
    "its neighbour is the rank that the paper prints, over its own ten cells."
)
BESIDE = (
    "Where model and dataset are the paper's, its value and the difference (ours − paper) stand below ours. "
    "Bold: best of each column, ours and the paper's apart."
)
ALONE = "No cell of this run is the paper's own, so its values are not shown. Bold: best of each column."


def of_kind(run: Run, settings: Sequence[Setting], kind: str) -> list[Setting]:
    return [setting for setting in settings if run.kind(setting) == kind]


def paper_auroc(run: Run, setting: Setting, method: Method) -> Printed | None:
    """The paper's number, where the setting's model and dataset are the paper's own."""
    return reference.adue_auroc().get((run.models[setting.model]["paper_name"], setting.dataset, method.paper))


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
    """Methods × settings, and after the settings of each kind of model their average rank."""
    shown = layouts.asked(run, settings, wanted)
    if not shown:
        return None
    headings = Headings(run, settings)
    columns: list[Column] = []
    rows: list[Row] = []
    for kind in KINDS:
        here = of_kind(run, settings, kind)
        if not here:
            continue
        ranks = _rank_columns(run, here, shown, headings, printed, kind)
        columns += [*map(headings.column, here), *(Column(label, KIND_TITLES[kind]) for label in ("Rank", "Paper’s rank"))]
        rows.append((here, ranks))
    return None
