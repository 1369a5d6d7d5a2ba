"""Error detection by score: AdUE against the best baseline, the softmax's other scores, and λ."""

from collections.abc import Sequence
from dataclasses import dataclass

from peftuq.cells import Setting
from peftuq.report import methods
from peftuq.report.beside_paper import Line, beside_paper, method_lines, rank_entries, ranked, requested, stub
from peftuq.report.headings import SPREAD, Headings
from peftuq.report.methods import ADUE, Method
from peftuq.report.run import Run
from peftuq.report.tables import MISSING, NOT_REQUESTED, UNDEFINED, Column, Entry, Row, Table, in_blocks


@dataclass(frozen=True)
class ScoreTable:
    """Error-AUROC of scores × settings with the average rank; None for fewer than two scores."""

    name: str
    title: str
    caption: str
    methods: Sequence[Method]

    def __call__(self, run: Run, settings: Sequence[Setting]) -> Table | None:
        shown = requested(run, settings, self.methods)
        if len(shown) < 2:
            return None
        headings = Headings(run, settings)
        lines = method_lines(run, settings, shown, lambda setting, method: None)
        entries = rank_entries(ranked(run, settings, shown), shown, headings)
        lines = [Line(one.title, [*one.ours, r], [*one.paper, None]) for one, r in zip(lines, entries, strict=True)]
        columns = in_blocks([[*map(headings.column, settings), Column("Rank", "All settings")]])
        rows = beside_paper(lines, ["higher"] * len(settings) + ["lower"])
        return Table(self.name, self.title, self.caption, stub("Score", rows), columns, tuple(rows))


SOFTMAX = ScoreTable(
    "adue_softmax_scores",
    "Scores of the softmax beside AdUE.",
    f"ROC-AUC ×100 of error detection, {SPREAD}; “temperature”: after temperature scaling, which leaves "
    "the order of the scores unchanged for two classes. Rank over all settings. Bold: best of a column.",
    methods.SOFTMAX,
)
LAMBDAS = ScoreTable(
    "adue_lambda",
    "AdUE’s λ.",
    f"ROC-AUC ×100 of error detection by the sharpness λ of SmoothMax, {SPREAD}; the other "
    "hyper-parameters are those selected at λ = 100, the paper’s value. Rank over all settings. Bold: best of a "
    "column.",
    methods.LAMBDAS,
)


def comparison(run: Run, settings: Sequence[Setting]) -> Table | None:
    """AdUE against the best baseline of each evaluation set."""
    headings, rows = Headings(run, settings), []
    for setting in settings:
        if not run.seeds(setting, ADUE.predictive, ADUE.variant):
            continue
        found = run.comparison(setting) or {}
        for part in ("test", *run.shifts(setting)):
            labels = (headings.model(setting), setting.dataset, setting.dataset if part == "test" else part)
            rows.append(Row(labels, _compared(found.get(part))))
    if not rows:
        return None
    caption = (
        "Error-AUROC ×100, mean over seeds; difference: AdUE minus the best baseline, with its 95 % interval from a "
        "bootstrap of the test examples, paired over methods and seeds. The best baseline is the one that came out "
        "best on these very examples, which favours the baseline. Bold: intervals that leave out zero."
    )
    columns = (
        Column("Best baseline", align="left"),
        Column("AUROC", "Baseline"),
        Column("AUROC", "AdUE"),
        Column("Difference"),
    )
    stub = ("Model", "Trained on", "Evaluated on")
    return Table("adue_best_baseline", "AdUE against the best baseline.", caption, stub, columns, tuple(rows))


def _compared(found: dict | None) -> tuple[Entry, ...]:
    if found is None:
        return (Entry(MISSING, note="the comparison was not made"), *(Entry(NOT_REQUESTED) for _ in range(3)))
    best = found["best_baseline"]
    if best is None:
        note = "no baseline has a defined AUROC: all predictions are right, or all wrong"
        return (Entry(UNDEFINED, note=note), *(Entry(NOT_REQUESTED) for _ in range(3)))
    aurocs = [found["auroc"].get(key) for key in (best, ADUE.key)]
    entries = [Entry(UNDEFINED) if value is None else Entry(value=100 * value) for value in aurocs]
    return (Entry(methods.title(best)), *entries, _difference(found, ADUE.key))


def _difference(found: dict, name: str) -> Entry:
    """A method's difference to the best baseline with its interval, in points of AUROC; bold where it leaves out 0."""
    d = found["difference"].get(name)
    if d is None:
        return Entry(UNDEFINED, note="the AUROC is undefined on this test set")
    low, high = 100 * d["low"], 100 * d["high"]
    return Entry(value=100 * d["estimate"], interval=(low, high), signed=True, best=low > 0 or high < 0)
