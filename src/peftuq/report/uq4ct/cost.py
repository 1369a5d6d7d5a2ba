"""What each method costs, as it was measured, beside the plain LoRA of the same model and dataset."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from peftuq.report.layouts import CELL
from peftuq.report.run import Run, Setting
from peftuq.report.tables import MISSING, NOT_ASKED, Column, Entry, Row, Table
from peftuq.report.uq4ct import methods
from peftuq.report.uq4ct.methods import Method
from peftuq.report.uq4ct.recipes import Cast, is_ensemble


class Cost(NamedTuple):
    """Of one method on one task: trainable parameters, seconds of training, milliseconds an evaluated example.

    None where it was not measured; 0 where there is nothing to train.
    """

    parameters: float | None
    training: float | None
    evaluation: float | None


def cost(run: Run, cast: Cast, method: Method) -> Cost:
    """Means over the adapters that were measured; an ensemble trains and asks each of its members."""
    setting = cast.roles[method.role]
    name, _, size = method.predictive.partition("-")
    pooled = run.methods.get(name, {}).get("reads") in ("records", "epochs")
    members = int(size or 1) if pooled else 1
    trained = [facts for seed in run.adapters(setting) if (facts := run.training(setting, seed)) is not None]
    untrained = run.recipes[setting.recipe]["adapter"] is None
    trainings = members if is_ensemble(name) else 1  # the epochs of one training are members, too
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


def table(run: Run, casts: Sequence[Cast]) -> Table | None:
    every, rows = methods.present(run, casts), []
    for cast in casts:
        here = [m for m in every if m.role in cast.roles and run.seeds(cast.roles[m.role], m.predictive)]
        plain = next((cost(run, cast, m) for m in here if (m.role, m.predictive) == ("lora", "point")), None)
        heading = methods.title_of(run, cast.task)
        rows += [Row((method.title,), _entries(cost(run, cast, method), plain), heading) for method in here]
    if not rows:
        return None
    caption = (
        "Trainable parameters (the head’s included), wall time of training, and of evaluation for an example, means "
        "over the adapters; ×: relative to the LoRA of the same cell. An ensemble’s members count each; what works on "
        "finished records (a temperature, averaging) costs their evaluation. Compare only within a cell: adapters may "
        "have been trained on different machines, see the table of trainings."
    )
    groups = ("Trainable", "Training, s", "Evaluation, ms")
    columns = tuple(Column(label, group) for group in groups for label in ("measured", "×"))
    return Table("uq4ct_cost", "Cost.", caption, ("Method",), columns, tuple(rows), CELL)


def _entries(found: Cost, plain: Cost | None) -> tuple[Entry, ...]:
    entries: list[Entry] = []
    for key, decimals in (("parameters", 0), ("training", 0), ("evaluation", 1)):
        value, of_plain = getattr(found, key), plain and getattr(plain, key)
        if value is None:
            entries += [Entry(MISSING, note="the file that would say so was not found"), Entry(NOT_ASKED)]
            continue
        shown = Entry(f"{value:,.0f}") if key == "parameters" else Entry(value=value, decimals=decimals)
        entries += [shown, Entry(value=value / of_plain, decimals=2) if of_plain else Entry(NOT_ASKED)]
    return tuple(entries)
