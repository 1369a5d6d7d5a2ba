"""The measured cost of each method, beside the plain LoRA of the same model and dataset."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from peftuq.cells import Setting, parse_predictive
from peftuq.report.metric_table import SETTING
from peftuq.report.run import Run
from peftuq.report.tables import MISSING, NOT_REQUESTED, Column, Entry, Row, Table
from peftuq.report.uq4ct import approaches
from peftuq.report.uq4ct.approaches import Approach
from peftuq.report.uq4ct.recipes import Task, is_ensemble


class Cost(NamedTuple):
    """The cost of one method on one task: trainable parameters, seconds of training, milliseconds an evaluated example.

    None where it was not measured; 0 where there is nothing to train.
    """

    parameters: float | None
    training: float | None
    evaluation: float | None


def cost(run: Run, task: Task, method: Approach) -> Cost:
    """Means over the adapters that were measured; an ensemble trains and evaluates each of its members."""
    setting = task.roles[method.role]
    name, size = parse_predictive(method.predictive)
    pooled = run.methods.get(name, {}).get("reads") in ("records", "epochs")
    members = size or 1 if pooled else 1
    trained = [facts for seed in run.adapters(setting) if (facts := run.training(setting, seed)) is not None]
    untrained = run.recipes[setting.recipe]["adapter"] is None
    trainings = members if is_ensemble(method.predictive) else 1  # the epochs of one training are members, too
    parameters, training = (
        0.0 if untrained else _mean([facts[key] for facts in trained], trainings) for key in ("trainable", "seconds")
    )
    return Cost(
        parameters, training, _mean(_evaluations(run, setting, "point" if pooled else method.predictive), members)
    )


def _evaluations(run: Run, setting: Setting, predictive: str) -> list[float]:
    """Milliseconds an example, of each seed."""
    seeds = run.seeds(setting, predictive) or run.adapters(setting)
    found = [facts for seed in seeds if (facts := run.evaluation(setting, seed, predictive)) is not None]
    return [1000 * facts["seconds"] / facts["examples"] for facts in found]


def _mean(values: Sequence[float], times: int) -> float | None:
    return times * float(np.mean(values)) if values else None


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
    for key, decimals in (("parameters", 0), ("training", 0), ("evaluation", 1)):
        value, of_plain = getattr(found, key), plain and getattr(plain, key)
        if value is None:
            entries += [Entry(MISSING, note="its duration was not found"), Entry(NOT_REQUESTED)]
            continue
        shown = Entry(f"{value:,.0f}") if key == "parameters" else Entry(value=value, decimals=decimals)
        entries += [shown, Entry(value=value / of_plain, decimals=2) if of_plain else Entry(NOT_REQUESTED)]
    return tuple(entries)
