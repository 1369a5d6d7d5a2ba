"""One factor at a time: β (the paper's Table 2), active experts (Table 5), experts in all, members of an ensemble."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from peftuq.cells import PREDICTION
from peftuq.metrics.evaluate import METRICS as DIRECTIONS
from peftuq.report import reference
from peftuq.report.beside_paper import Line, beside_paper, stub
from peftuq.report.headings import SPREAD
from peftuq.report.reference import Printed
from peftuq.report.run import OverSeeds, Run
from peftuq.report.tables import Column, Table, in_blocks
from peftuq.report.uq4ct import methods, paper
from peftuq.report.uq4ct.methods import DECIMALS, METRICS, Evaluation
from peftuq.report.uq4ct.recipes import Comparison, Point


@dataclass(frozen=True)
class Factor:
    """A table of what varies alone; None where no task has two values.

    `key` names it among a task's sweeps; `printed` and `prefix`: the paper's table and what its methods are called
    before their value.
    """

    key: str
    symbol: str
    name: str
    short: str
    reading: str
    printed: str = ""
    prefix: str = ""

    @property
    def title(self) -> str:
        return f"{self.short} (the paper’s {self.printed})." if self.printed else f"{self.short}."

    def __call__(self, run: Run, comparisons: Sequence[Comparison]) -> Table | None:
        return _table(run, comparisons, self)


BETA = Factor(
    "beta",
    "β",
    "table2_beta",
    "The calibration loss’s weight",
    "β weighs the calibration loss; at β = 0 UQ4CT is MixLoRA.",
    "Table 2",
    "UQ4CT beta=",
)
TOP_K = Factor(
    "top_k", "K", "table5_top_k", "Active experts", "K experts are active for a token.", "Table 5", "UQ4CT top-k="
)
EXPERTS = Factor(
    "experts",
    "E",
    "experts",
    "Experts in all",
    "A token’s K active experts are chosen among E, so that FLU lies between K/E and 1.",
)
MEMBERS = Factor(
    "members",
    "M",
    "members",
    "Members of the ensemble",
    "M adapters of different seeds, their probabilities averaged.",
)
FACTORS = (BETA, TOP_K, EXPERTS, MEMBERS)


class Value(NamedTuple):
    """A row: the recipe is named in `label` only where another has the same value."""

    label: str
    value: float

    @property
    def is_first(self) -> bool:
        return self.label == f"{self.value:g}"


def swept(run: Run, comparisons: Sequence[Comparison], factor: Factor) -> list[Comparison]:
    """The tasks on which a factor varies. β at 0 and 1 alone is MixLoRA against UQ4CT: the main table has it."""
    return [
        comparison
        for comparison in comparisons
        if factor.key in comparison.sweeps
        and (factor.key != "beta" or len(comparison.sweeps["beta"]) > 2 or papers_values(run, comparison, factor))
    ]


def _table(run: Run, comparisons: Sequence[Comparison], factor: Factor) -> Table | None:
    here = swept(run, comparisons, factor)
    if not here:
        return None
    points = [labelled(comparison.sweeps[factor.key]) for comparison in here]
    values = {value for of_task in points for value in of_task} | {
        Value(f"{value:g}", value) for comparison in here for value in papers_values(run, comparison, factor)
    }
    lines = []
    for value in sorted(values, key=lambda value: (value.value, value.label)):
        found = [
            (number(run, of_task.get(value), metric), papers_number(run, comparison, factor, value, metric))
            for comparison, of_task in zip(here, points, strict=True)
            for metric in METRICS
        ]
        ours = [methods.beside(over, printed) for over, printed in found]
        lines.append(Line(f"{factor.symbol} = {value.label}", ours, [printed for _, printed in found], DECIMALS))
    rows = beside_paper(lines, [DIRECTIONS[metric]["better"] for _ in here for metric in METRICS])
    columns = [
        [Column(label, methods.title_of(run, comparison.task)) for label in ("Accuracy, %", "ECE, %")]
        for comparison in here
    ]
    caption = (
        f"{factor.reading} Nothing else differs between the rows. In per cent on the test split, "
        f"{SPREAD}. {paper.BESIDE if factor.printed else ''}{paper.BOLD}"
    )
    heads = stub(factor.symbol, rows)
    return Table(f"uq4ct_{factor.name}", factor.title, caption, heads, in_blocks(columns), tuple(rows))


def labelled(points: Sequence[Point]) -> dict[Value, Point]:
    found: dict[Value, Point] = {}
    for point in points:
        value = Value(f"{point.value:g}", point.value)
        if value in found:
            value = Value(f"{value.label} ({point.setting.recipe})", point.value)
        found[value] = point
    return found


def number(run: Run, point: Point | None, metric: str) -> OverSeeds:
    if point is None:
        return OverSeeds()
    return run.over_seeds(point.setting, metric, PREDICTION, point.predictive)


def papers_number(run: Run, comparison: Comparison, factor: Factor, value: Value, metric: str) -> Printed | None:
    """The paper's number; None for a second recipe of the same value, as the paper has one."""
    if not factor.printed:
        return None
    return methods.papers(run, Evaluation(comparison), f"{factor.prefix}{value.label}", metric, [factor.printed])


def papers_values(run: Run, comparison: Comparison, factor: Factor) -> list[float]:
    names = dict.fromkeys(key[4] for key in reference.uq4ct() if key[0] == factor.printed)
    there = [name for name in names if methods.papers(run, Evaluation(comparison), name, "accuracy", [factor.printed])]
    return [float(name.removeprefix(factor.prefix)) for name in there]
