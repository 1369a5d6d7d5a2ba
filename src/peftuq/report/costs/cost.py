"""The cost of a source of probabilities on one setting: what can be counted, and what its jobs measured."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from peftuq.cells import Setting, parse_predictive
from peftuq.report.run import Run

Facts = Mapping[str, Any]


class Cost(NamedTuple):
    """The cost of a recipe's adapters and one predictive; what was not measured is None.

    Counted: trained `parameters` of all adapters that it pools, forward `passes` of the model for an example. Measured:
    `training` in seconds, of all that it pools; `model` and `records`, milliseconds an example in which the model ran
    and in which finished files were worked on; the largest memory of a process that trains and of one that runs the
    model, in MiB.
    """

    parameters: float | None
    passes: int
    training: float | None
    model: float | None
    records: float | None
    training_peak: float | None
    model_peak: float | None


def passes(run: Run, predictive: str) -> int:
    """Forward passes of the model that an example takes: one, or one a member or sample, as the predictive's name says.

    Those of a fit, such as TFB's search on training examples, are not counted: they are none at test.
    """
    name, size = parse_predictive(predictive)
    return size or 1 if _reads(run, name) in ("records", "epochs", "adapter") else 1


def cost(run: Run, setting: Setting, predictive: str) -> Cost:
    """Means over the seeds that were measured; an ensemble trains and evaluates each of its members."""
    name, size = parse_predictive(predictive)
    pooled = _reads(run, name) in ("records", "epochs")
    members = size or 1 if pooled else 1
    # The epochs of one training are members, too.
    trainings = members if "members" in run.methods.get(name, {}).get("needs", []) else 1
    trained = _found(run.training(setting, seed) for seed in run.adapters(setting))
    asked = "point" if pooled else predictive
    seeds = run.seeds(setting, asked) or run.adapters(setting)
    answered = _found(run.evaluation(setting, seed, asked) for seed in seeds)
    finished = predictive == "point" or _reads(run, name) == "adapter"  # nothing is left to do on finished files
    worked = _found(run.job(setting, seed, predictive) for seed in run.seeds(setting, predictive))
    untrained = run.recipes[setting.recipe]["adapter"] is None
    return Cost(
        0.0 if untrained else mean(trained, "trainable", trainings),
        passes(run, predictive),
        0.0 if untrained else mean(trained, "seconds", trainings),
        milliseconds(answered, members),
        0.0 if finished else milliseconds(worked),
        0.0 if untrained else largest(trained),
        largest(answered),
    )


def of_score(run: Run, setting: Setting, predictive: str, score: str) -> tuple[float | None, float | None]:
    """Milliseconds an example in which a score was fitted and computed, mean over seeds; the largest memory, MiB."""
    found = _found(run.job(setting, seed, predictive, score) for seed in run.seeds(setting, predictive))
    return milliseconds(found), largest(found)


def mean(found: Sequence[Facts], key: str, times: int = 1) -> float | None:
    return times * float(np.mean([facts[key] for facts in found])) if found else None


def milliseconds(found: Sequence[Facts], times: int = 1) -> float | None:
    """Milliseconds an example, mean over jobs."""
    return 1000 * times * float(np.mean([f["seconds"] / f["examples"] for f in found])) if found else None


def largest(found: Sequence[Facts]) -> float | None:
    return max((facts["peak_mib"] for facts in found if "peak_mib" in facts), default=None)


def _reads(run: Run, name: str) -> str:
    return run.methods.get(name, {}).get("reads", "")


def _found(facts: Iterable[Facts | None]) -> list[Facts]:
    return [one for one in facts if one is not None]
