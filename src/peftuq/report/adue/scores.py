"""Error detection by score: the softmax's other scores beside AdUE, and λ."""

from collections.abc import Sequence
from dataclasses import dataclass

from peftuq.cells import Setting
from peftuq.report import methods
from peftuq.report.beside_paper import Line, beside_paper, method_lines, rank_entries, ranked, requested, stub
from peftuq.report.headings import SPREAD, Headings
from peftuq.report.methods import Method
from peftuq.report.run import Run
from peftuq.report.tables import Column, Table, in_blocks


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
