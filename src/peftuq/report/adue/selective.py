"""What is gained by staying silent, and what becomes of the scores on other data."""

from collections.abc import Sequence
from dataclasses import replace

from peftuq.cells import Setting
from peftuq.report import layouts
from peftuq.report.layouts import Headings, Measure, metric_rows, score
from peftuq.report.methods import HEADLINE
from peftuq.report.run import Run
from peftuq.report.tables import Column, Entry, Table, measured

SELECTIVE = ("aurc", "eaurc", "prr", "risk_80", "accuracy_50", "accuracy_80", "accuracy_90")
SHIFT = ("auroc", "ood_auroc", "ood_fpr95")


def selective(run: Run, settings: Sequence[Setting]) -> Table:
    caption = (
        "Answering only the examples with the lowest scores: area under the risk–coverage curve and its excess over "
        "the best order’s (both ×100, lower is better), prediction rejection ratio (1: best order, 0: random), error "
        f"rate and accuracy in per cent at fixed coverage; {layouts.SPREAD}. Bold: best of a cell."
    )
    return layouts.by_score(run, settings, HEADLINE, ("adue_selective", "Selective prediction.", caption), SELECTIVE)


def shifts(run: Run, settings: Sequence[Setting]) -> Table | None:
    headings, rows = Headings(run, settings), []
    for setting in settings:
        wanted = layouts.asked(run, [setting], HEADLINE)
        for part in run.shifts(setting):
            accuracy = measured(run.over_seeds(setting, "accuracy", on=part), 100)
            lines = {(part, method.title): score(method, part) for method in wanted}
            found = metric_rows(run, setting, headings.setting(setting), lines, [Measure(metric) for metric in SHIFT])
            rows += [
                replace(row, entries=(Entry() if index else accuracy, *row.entries)) for index, row in enumerate(found)
            ]
    if not rows:
        return None
    caption = (
        "Accuracy on the shifted set in per cent; ROC-AUC ×100 of telling errors from correct predictions within it; "
        "and of telling its examples from those of the setting’s own test split (OOD), with the share of the latter "
        f"flagged where 95 % of the former are (FPR95, lower is better); {layouts.SPREAD}. Bold: best score of a "
        "shifted set."
    )
    columns = (Column("Accuracy, %"), *(Measure(metric).column for metric in SHIFT))
    return Table(
        "adue_shifts",
        "Under shift.",
        caption,
        ("Evaluated on", "Score"),
        columns,
        tuple(rows),
        "Trained: model and dataset",
    )
