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
from peftuq.report.uq4ct import approaches, paper
from peftuq.report.uq4ct.approaches import DECIMALS, METRICS, Evaluation
from peftuq.report.uq4ct.recipes import Point, Task


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

    def __call__(self, run: Run, tasks: Sequence[Task]) -> Table | None:
        return _table(run, tasks, self)


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
    "members", "M", "members", "Members of the ensemble", "M adapters of different seeds, their probabilities averaged."
)
FACTORS = (BETA, TOP_K, EXPERTS, MEMBERS)


class Value(NamedTuple):
    """A row: the recipe is named in `label` only where another has the same value."""

    label: str
    value: float

    @property
    def is_first(self) -> bool:
        return self.label == f"{self.value:g}"


def swept(run: Run, tasks: Sequence[Task], factor: Factor) -> list[Task]:
    """The tasks on which a factor varies. β at 0 and 1 alone is MixLoRA against UQ4CT: the main table has it."""
    return [
        task
        for task in tasks
        if factor.key in task.sweeps
        and (factor.key != "beta" or len(task.sweeps["beta"]) > 2 or papers_values(run, task, factor))
    ]


def _table(run: Run, tasks: Sequence[Task], factor: Factor) -> Table | None:
    here = swept(run, tasks, factor)
    if not here:
        return None
    points = [labelled(task.sweeps[factor.key]) for task in here]
    values = {value for of_task in points for value in of_task} | {
        Value(f"{value:g}", value) for task in here for value in papers_values(run, task, factor)
    }
    lines = []
    for value in sorted(values, key=lambda value: (value.value, value.label)):
        found = [
            (number(run, of_task.get(value), metric), papers_number(run, task, factor, value, metric))
            for task, of_task in zip(here, points, strict=True)
            for metric in METRICS
        ]
        ours = [approaches.beside(over, printed) for over, printed in found]
        lines.append(Line(f"{factor.symbol} = {value.label}", ours, [printed for _, printed in found], DECIMALS))
    rows = beside_paper(lines, [DIRECTIONS[metric]["better"] for _ in here for metric in METRICS])
    columns = [[Column(label, approaches.title_of(run, task)) for label in ("Accuracy, %", "ECE, %")] for task in here]
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


def papers_number(run: Run, task: Task, factor: Factor, value: Value, metric: str) -> Printed | None:
    """The paper's number; None for a second recipe of the same value, as the paper has one."""
    if not factor.printed:
        return None
    return approaches.papers(run, Evaluation(task), f"{factor.prefix}{value.label}", metric, [factor.printed])


def papers_values(run: Run, task: Task, factor: Factor) -> list[float]:
    names = dict.fromkeys(key[4] for key in reference.uq4ct() if key[0] == factor.printed)
    there = [name for name in names if approaches.papers(run, Evaluation(task), name, "accuracy", [factor.printed])]
    return [float(name.removeprefix(factor.prefix)) for name in there]
