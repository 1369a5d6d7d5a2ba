"""Methods as someone choosing one sees them: a way of training, a source of probabilities, a score of errors."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from peftuq.cells import PREDICTION, Setting, parse_predictive
from peftuq.report import adapters
from peftuq.report.methods import ABLATIONS, ADUE, ENTROPY, LAMBDAS, MARGIN, title
from peftuq.report.run import OverSeeds, Run
from peftuq.report.uq4ct.recipes import beta, mixture

PLAIN = "LoRA"
SR = "sr"
KINDS = {"classification": "Classification", "choice": "Multiple choice"}  # of tasks
# Beside the softmax response, entropy and margin say little new; AdUE's ablations are no methods of their own.
_LEFT_OUT = {ENTROPY.variant, MARGIN.variant, *(m.variant for m in [*ABLATIONS, *LAMBDAS])} - {ADUE.variant}
_SAID = {"mc": "MC", "spuq": "SPUQ", "tfb": "TFB", "vbll": "VBLL", "sngp": "SNGP", "swag": "SWAG", "laplace": "Laplace"}


class Candidate(NamedTuple):
    """A method: the family of its recipe, its predictive and its score."""

    family: str
    predictive: str
    variant: str

    @property
    def probabilities(self) -> str:
        """The source of its probabilities in words."""
        name, size = parse_predictive(self.predictive)
        said = " ".join(_SAID.get(word, word) for word in name.split("_")) + (f" of {size}" if size else "")
        return self.family if name == "point" else f"{self.family}, {said}"

    @property
    def title(self) -> str:
        if self.variant == PREDICTION:
            return self.probabilities
        score = "softmax response" if self.variant == SR else title(f"point/{self.variant}")
        return f"{score} of {self.probabilities}"


@dataclass(frozen=True)
class Task:
    """A model on a dataset, and what was trained on it by family. `kind`: of KINDS."""

    model: str
    dataset: str
    kind: str
    settings: dict[str, Setting]

    @property
    def plain(self) -> str:
        """The family that others are compared with: plain LoRA, or what there is."""
        return PLAIN if PLAIN in self.settings else next(iter(self.settings))


class Unit(NamedTuple):
    """One evaluation set of a task; `on` is a shift set, "" the task's own test split."""

    task: Task
    on: str = ""


def family(recipe: Mapping[str, Any]) -> str:
    """The name of a way of training, by what stands in its recipe."""
    if mixture(recipe):
        return "UQ4CT" if beta(recipe) else "MixLoRA"
    found = adapters.kind(recipe)
    return {adapters.UNTUNED: "untuned model", adapters.PLAIN: PLAIN}.get(found, found)


def tasks(run: Run) -> list[Task]:
    """The run's tasks; of several recipes of a family the first has its name, the others also their own."""
    found: dict[tuple[str, str], dict[str, Setting]] = {}
    for setting in run.all_settings:
        here, name = found.setdefault((setting.model, setting.dataset), {}), family(run.recipes[setting.recipe])
        here[name if name not in here else f"{name} ({setting.recipe})"] = setting
    return [Task(*key, run.task(next(iter(here.values()))), here) for key, here in found.items()]


def of_scores(run: Run, some: list[Task]) -> list[Candidate]:
    """Every score of every source of probabilities on some of the tasks, but those that say nothing new."""
    return list(
        dict.fromkeys(
            Candidate(family, predictive, variant)
            for task in some
            for family, setting in task.settings.items()
            for predictive, variant in run.scored(setting)
            if variant not in _LEFT_OUT
        )
    )


def of_probabilities(run: Run, some: list[Task]) -> list[Candidate]:
    """Every source of probabilities on some of the tasks."""
    return list(
        dict.fromkeys(
            Candidate(family, predictive, PREDICTION)
            for task in some
            for family, setting in task.settings.items()
            for predictive in run.predictives(setting)
        )
    )


def over(run: Run, method: Candidate, unit: Unit, metric: str) -> OverSeeds:
    """A metric of a method on an evaluation set; nothing was asked for where it did not run."""
    setting = unit.task.settings.get(method.family)
    if setting is None or (unit.on and unit.on not in run.shifts(setting)):
        return OverSeeds()
    return run.over_seeds(setting, metric, method.variant, method.predictive, unit.on)


def own(some: list[Task]) -> list[Unit]:
    """The own test split of each task."""
    return [Unit(task) for task in some]


def shifted(run: Run, some: list[Task]) -> list[Unit]:
    """The labelled shift sets of each task."""
    return [Unit(task, on) for task in some for on in run.labelled_shifts(task.settings[task.plain])]
