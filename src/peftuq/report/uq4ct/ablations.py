"""One factor at a time: β (the paper's Table 2), active experts (Table 5), experts in all, members of an ensemble."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from peftuq.cells import PREDICTION
from peftuq.metrics.evaluate import METRICS as DIRECTIONS
from peftuq.report import reference
from peftuq.report.declared import Block, DeclaredTable, Field
from peftuq.report.headings import SPREAD
from peftuq.report.reference import Printed
from peftuq.report.run import OverSeeds, Run
from peftuq.report.tables import Column, Entry, Table
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
        return self._declared(run, tasks)

    @property
    def _declared(self) -> DeclaredTable[Sequence[Task], "Value"]:
        return DeclaredTable(
            f"uq4ct_{self.name}",
            self.title,
            f"{self.reading} Nothing else differs between the rows. In per cent on the test split, "
            f"{SPREAD}. {paper.BESIDE if self.printed else ''}{paper.BOLD}",
            (self.symbol,),
            self._blocks,
            decimals=DECIMALS,
        )

    def _blocks(self, run: Run, tasks: Sequence[Task]) -> list[Block["Value"]]:
        runs = [[_field(run, task, self, metric) for metric in METRICS] for task in swept(run, tasks, self)]
        return [Block(_values(run, tasks, self), runs)]


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
COLUMNS = {"accuracy": "Accuracy, %", "ece_15": "ECE, %"}
FACTORS = (BETA, TOP_K, EXPERTS, MEMBERS)


class Value(NamedTuple):
    """A row: the recipe is named in `label` only where another has the same value."""

    label: str
    value: float
    symbol: str = ""

    @property
    def title(self) -> str:
        return f"{self.symbol} = {self.label}"

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


def _values(run: Run, tasks: Sequence[Task], factor: Factor) -> list[Value]:
    here = swept(run, tasks, factor)
    values = {value for task in here for value in labelled(task.sweeps[factor.key])} | {
        Value(f"{value:g}", value) for task in here for value in papers_values(run, task, factor)
    }
    ordered = sorted(values, key=lambda value: (value.value, value.label))
    return [value._replace(symbol=factor.symbol) for value in ordered]


def _field(run: Run, task: Task, factor: Factor, metric: str) -> Field[Value]:
    points = labelled(task.sweeps[factor.key])

    def of_paper(row: Value) -> Printed | None:
        return papers_number(run, task, factor, row, metric)

    def entry(row: Value) -> Entry:
        return approaches.beside(number(run, points.get(row._replace(symbol="")), metric), of_paper(row))

    column = Column(COLUMNS[metric], approaches.title_of(run, task))
    return Field(column, entry, DIRECTIONS[metric]["better"], of_paper)


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
