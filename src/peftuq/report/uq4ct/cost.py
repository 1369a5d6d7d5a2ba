"""The measured cost of each method, beside the plain LoRA of the same model and dataset."""

from collections.abc import Sequence

from peftuq.report.costs.cost import Cost
from peftuq.report.costs.cost import cost as of_setting
from peftuq.report.metric_table import SETTING
from peftuq.report.run import Run
from peftuq.report.tables import MISSING, NOT_REQUESTED, Column, Entry, Row, Table
from peftuq.report.uq4ct import approaches
from peftuq.report.uq4ct.approaches import Approach
from peftuq.report.uq4ct.recipes import Task


def cost(run: Run, task: Task, method: Approach) -> Cost:
    return of_setting(run, task.roles[method.role], method.predictive)


def table(run: Run, tasks: Sequence[Task]) -> Table | None:
    every, rows = approaches.present(run, tasks), []
    for task in tasks:
        here = [m for m in every if m.role in task.roles and run.seeds(task.roles[m.role], m.predictive)]
        plain = next((cost(run, task, m) for m in here if (m.role, m.predictive) == ("lora", "point")), None)
        heading = approaches.title_of(run, task)
        rows += [Row((method.title,), _entries(cost(run, task, method), plain), heading) for method in here]
    if not rows:
        return None
    caption = (
        "Trainable parameters (the head’s included), wall time of training, and of evaluation for an example, means "
        "over the adapters; ×: relative to the LoRA of the same task. An ensemble’s members count each; what works on "
        "finished records (a temperature, averaging) costs their evaluation. Compare only within a task: adapters may "
        "have been trained on different machines, see the table of trainings."
    )
    groups = ("Trainable", "Training, s", "Evaluation, ms")
    columns = tuple(Column(label, group) for group in groups for label in ("measured", "×"))
    return Table("uq4ct_cost", "Cost.", caption, ("Method",), columns, tuple(rows), SETTING)


def _entries(found: Cost, plain: Cost | None) -> tuple[Entry, ...]:
    entries: list[Entry] = []
    for key, decimals in (("parameters", 0), ("training", 0), ("model", 1)):
        value, of_plain = getattr(found, key), plain and getattr(plain, key)
        if value is None:
            entries += [Entry(MISSING, note="its duration was not found"), Entry(NOT_REQUESTED)]
            continue
        shown = Entry(f"{value:,.0f}") if key == "parameters" else Entry(value=value, decimals=decimals)
        entries += [shown, Entry(value=value / of_plain, decimals=2) if of_plain else Entry(NOT_REQUESTED)]
    return tuple(entries)
