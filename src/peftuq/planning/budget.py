"""Trim a configuration until it fits a number of GPU-hours: always the same things, in the same order."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from peftuq.config.study import Study
from peftuq.errors import UserError
from peftuq.jobs.jobs import Jobs
from peftuq.planning.rehearsals import Rehearsals
from peftuq.planning.workload import Workload


class Step(NamedTuple):
    """The part left out, the configuration that leaves it out, and the GPU-hours that remain."""

    what: str
    config: dict[str, Any]
    hours: float


def fit(config: dict[str, Any], root: Path, hours: float, where: str, rehearsals: Rehearsals) -> list[Step]:
    """The steps until at most `hours` remain, the first being the whole grid; steps that change nothing are not taken.

    Raises `UserError` where even the last step needs more.
    """
    study = Study(config, root, where)
    steps = [Step("the whole grid", config, _hours(study, rehearsals))]
    for what, trim in _rules(study, rehearsals):
        if steps[-1].hours <= hours:
            break
        trimmed = {**config, "trim": {**steps[-1].config.get("trim", {}), **trim}}
        step = Step(what, trimmed, _hours(Study(trimmed, root, where), rehearsals))
        if step.hours < steps[-1].hours:
            steps.append(step)
    if steps[-1].hours > hours:
        raise UserError(f"{where}: cannot be trimmed to {hours:g} GPU-hours: {steps[-1].hours:.1f} is the least, "
                        "with one seed of the smallest model")  # fmt: skip
    return steps


def _hours(study: Study, rehearsals: Rehearsals) -> float:
    return sum(Workload(Jobs(study), rehearsals).hours().values())


def _rules(study: Study, rehearsals: Rehearsals) -> Iterator[tuple[str, dict[str, Any]]]:
    """The parts to leave out, in this order: first what costs the tables least, whole models and single seeds last."""
    yield "seeds beyond 3", {"seeds": 3}
    yield "sweeps", {"sweeps": "leave out"}
    yield "ensembles of more than 10", {"members": 10}
    yield "ensembles of more than 5", {"members": 5}
    work = Workload(Jobs(study), rehearsals)
    models = dict.fromkeys(setting.model for setting in study.settings)
    largest = sorted(models, key=lambda model: -work.shape(model).weights)
    for n in range(1, len(largest)):
        yield f"the model {largest[n - 1]}", {"models": sorted({*study.config.trim.models, *largest[:n]})}
    yield "seeds beyond the first", {"seeds": 1}
