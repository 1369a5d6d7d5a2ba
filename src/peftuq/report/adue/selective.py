"""Selective prediction, and the scores under shift."""

from peftuq.cells import Setting
from peftuq.report.headings import SPREAD
from peftuq.report.methods import HEADLINE
from peftuq.report.metric_table import Derived, Line, Lines, Measure, Source, metric_table, of_scores
from peftuq.report.requested import with_further
from peftuq.report.run import Run
from peftuq.report.tables import Column, Entry, measured

SELECTIVE = metric_table(
    "adue_selective",
    "Selective prediction.",
    "Answering only the examples with the lowest scores: area under the risk–coverage curve and its excess over "
    "the best order’s (both ×100, lower is better), prediction rejection ratio (1: best order, 0: random), error "
    f"rate and accuracy in per cent at fixed coverage; {SPREAD}. Bold: best of a setting.",
    stub=("Score",),
    lines=of_scores(HEADLINE),
    columns=tuple(map(Measure, ("aurc", "eaurc", "prr", "risk_80", "accuracy_50", "accuracy_80", "accuracy_90"))),
)


def _on_shifts(run: Run, setting: Setting) -> Lines:
    return {
        (on, method.title): Source(method.variant, method.predictive, on)
        for on in run.shifts(setting)
        for method in with_further(run, [setting], HEADLINE)
    }


def _accuracy(run: Run, line: Line) -> Entry:
    """The model's accuracy, once for each evaluation set: it is the same for every score."""
    return measured(run.over_seeds(line.setting, "accuracy", on=line.source.on), 100) if line.first else Entry()


SHIFTS = metric_table(
    "adue_shifts",
    "Under shift.",
    "Accuracy on the shifted set in per cent; ROC-AUC ×100 of telling errors from correct predictions within it; "
    "and of telling its examples from those of the setting’s own test split (OOD), with the share of the latter "
    f"flagged where 95 % of the former are (FPR95, lower is better); {SPREAD}. Bold: best score of a "
    "shifted set.",
    stub=("Evaluated on", "Score"),
    lines=_on_shifts,
    columns=(Derived(Column("Accuracy, %"), _accuracy), *map(Measure, ("auroc", "ood_auroc", "ood_fpr95"))),
    over="Trained: model and dataset",
)
