"""Error detection by score: the softmax's other scores beside AdUE, and λ."""

from collections.abc import Sequence

from peftuq.report import methods
from peftuq.report.adue.paper import AurocTable, Settings, auroc_field, rank_fields
from peftuq.report.declared import Block, DeclaredTable, Field
from peftuq.report.headings import SPREAD, Headings
from peftuq.report.methods import Method
from peftuq.report.requested import requested
from peftuq.report.run import Run


def _score_table(name: str, title: str, caption: str, wanted: Sequence[Method]) -> AurocTable:
    """Error-AUROC of scores × settings with the average rank; of at least two scores."""

    def blocks(run: Run, settings: Settings) -> list[Block[Method]]:
        shown, headings = requested(run, settings, wanted), Headings(run, settings)
        rank, _ = rank_fields(run, settings, shown, ("", ""), "All settings")
        fields = (auroc_field(run, setting, headings) for setting in settings)
        return [Block(shown, [[*(Field(one.column, one.entry, one.better) for one in fields), rank]])]

    return DeclaredTable(name, title, caption, ("Score",), blocks, fewest=2)


SOFTMAX = _score_table(
    "adue_softmax_scores",
    "Scores of the softmax beside AdUE.",
    f"ROC-AUC ×100 of error detection, {SPREAD}; “temperature”: after temperature scaling, which leaves "
    "the order of the scores unchanged for two classes. Rank over all settings. Bold: best of a column.",
    methods.SOFTMAX,
)
LAMBDAS = _score_table(
    "adue_lambda",
    "AdUE’s λ.",
    f"ROC-AUC ×100 of error detection by the sharpness λ of SmoothMax, {SPREAD}; the other "
    "hyper-parameters are those selected at λ = 100, the paper’s value. Rank over all settings. Bold: best of a "
    "column.",
    methods.LAMBDAS,
)
