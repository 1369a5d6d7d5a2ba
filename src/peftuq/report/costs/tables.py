"""Costs as tables: of every recipe and source of probabilities, and of every score."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from peftuq.report.costs.cost import Cost
from peftuq.report.costs.groups import Group, Method, kind
from peftuq.report.run import Run
from peftuq.report.tables import MISSING, NOT_REQUESTED, Column, Entry, Row, Table

OVER = "Model and datasets"
COUNTED, TRAINING, TEST, MEMORY = "Counted", "Training", "Test, ms an example", "Peak memory, MiB"


class Head(NamedTuple):
    column: Column
    entry: Callable[[Group, Method], Entry]


def _number(value: float | None, decimals: int, signed: bool = False) -> Entry:
    if value is None:
        return Entry(MISSING, note="was not measured, or not on all of the datasets")
    return Entry(value=value, decimals=decimals, signed=signed)


def _beyond(group: Group, method: Method) -> Entry:
    """Trained parameters, minus those of plain LoRA."""
    ours = group.over(method, _parameters)
    plain = None if group.plain is None else group.over(group.plain, _parameters)
    return Entry(NOT_REQUESTED) if ours is None or plain is None else _number(ours - plain, 0, signed=True)


def _times(part: Callable[[Cost], float | None]) -> Callable[[Group, Method], Entry]:
    def entry(group: Group, method: Method) -> Entry:
        times = group.times(method, part)
        return Entry(NOT_REQUESTED) if times is None else Entry(value=times, decimals=2)

    return entry


def _measured(part: Callable[[Cost], float | None], decimals: int) -> Callable[[Group, Method], Entry]:
    return lambda group, method: _number(group.over(method, part), decimals)


def _parameters(found: Cost) -> float | None:
    return found.parameters


HEADS = (
    Head(Column("adapter", COUNTED), lambda group, method: Entry(kind(group.run.recipes[method.recipe]))),
    Head(Column("parameters", COUNTED), _measured(_parameters, 0)),
    Head(Column("beyond LoRA", COUNTED), _beyond),
    Head(Column("passes", COUNTED), _measured(lambda found: found.passes, 0)),
    Head(Column("s", TRAINING, 1), _measured(lambda found: found.training, 1)),
    Head(Column("×", TRAINING, 1), _times(lambda found: found.training)),
    Head(Column("model", TEST, 1), _measured(lambda found: found.model, 2)),
    Head(Column("×", TEST, 1), _times(lambda found: found.model)),
    Head(Column("records", TEST, 1), _measured(lambda found: found.records, 2)),
    Head(Column("training", MEMORY, 1), _measured(lambda found: found.training_peak, 0)),
    Head(Column("test", MEMORY, 1), _measured(lambda found: found.model_peak, 0)),
)
SCORE_HEADS = (
    Head(Column("fit and score", TEST), lambda group, method: _number(group.of_score(method)[0], 3)),
    Head(Column("fit and score", MEMORY), lambda group, method: _number(group.of_score(method)[1], 0)),
)


def predictives(run: Run, groups: Sequence[Group]) -> Table | None:
    """A row for each recipe and source of probabilities."""
    caption = (
        "A row is a recipe and a source of probabilities. Counted, and the same in every run: the parameters that are "
        "trained (an ensemble’s members’ together), how many more these are than plain LoRA’s, and the forward passes "
        "that an example takes at test. Measured, where this run was: seconds of training; milliseconds an example in "
        "which the model ran, with the fits for which it runs, and in which finished records were worked on; the "
        "largest memory of one process (where there is a GPU, what was allocated on it). ×: relative to the first "
        "plain LoRA of the list. Means over the seeds and the datasets; × is a geometric mean."
    )
    rows = [_row(HEADS, group, method, method.title) for group in groups for method in group.methods]
    return _table("costs", "Cost of adapters and of sources of probabilities.", caption, ("Method",), HEADS, rows)


def scores(run: Run, groups: Sequence[Group]) -> Table | None:
    """A row for each score."""
    caption = (
        "What a score adds to the cost of the probabilities that it is computed from, here those of the recipe that "
        "comes first of the recipes which have it: time to fit it and to score the evaluation sets, for an example of "
        "them, and the largest memory of its process. No score runs the model."
    )
    rows = [
        _row(SCORE_HEADS, group, method, method._replace(recipe="").title.removeprefix(", "))
        for group in groups
        for method in _scored(group)
    ]
    return _table("costs_scores", "Cost of scores.", caption, ("Score",), SCORE_HEADS, rows)


def _scored(group: Group) -> list[Method]:
    """Every score once, of the first recipe and source of probabilities that has it."""
    found: dict[str, Method] = {}
    for method in group.scored:
        found.setdefault(method.variant, method)
    return list(found.values())


def _row(heads: Sequence[Head], group: Group, method: Method, label: str) -> Row:
    return Row((label,), tuple(head.entry(group, method) for head in heads), group.title)


def _table(
    name: str, title: str, caption: str, stub: tuple[str, ...], heads: Sequence[Head], rows: list[Row]
) -> Table | None:
    return Table(name, title, caption, stub, tuple(h.column for h in heads), tuple(rows), OVER) if rows else None
