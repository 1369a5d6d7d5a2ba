"""Methods compared by their cost: those of one model, over the datasets on which it has the same recipes."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from peftuq.cells import PREDICTION, Setting, parse_predictive
from peftuq.report.adapters import PLAIN, kind
from peftuq.report.costs import cost
from peftuq.report.costs.cost import Cost
from peftuq.report.methods import title
from peftuq.report.run import Run


class Method(NamedTuple):
    """A recipe, a source of probabilities and, with a `variant`, a score."""

    recipe: str
    predictive: str = "point"
    variant: str = ""

    @property
    def title(self) -> str:
        parts = [self.recipe, *([] if self.predictive == "point" else [self.predictive.replace("_", " ")])]
        return ", ".join([*parts, *([title(f"point/{self.variant}")] if self.variant else [])])


@dataclass(frozen=True)
class Group:
    """One model on the `datasets` on which it has the same `recipes`."""

    run: Run
    model: str
    datasets: tuple[str, ...]
    recipes: tuple[str, ...]

    @property
    def title(self) -> str:
        return f"{self.run.models[self.model]['title']} on {', '.join(self.datasets)}"

    @property
    def name(self) -> str:
        return "_".join((self.model, *self.datasets)).replace(".", "_")

    @cached_property
    def plain(self) -> Method | None:
        """The first recipe of plain LoRA that is tested by itself: what costs are relative to."""
        points = (method for method in self.methods if method.predictive == "point")
        return next((method for method in points if kind(self.run.recipes[method.recipe]) == PLAIN), None)

    def settings(self, recipe: str) -> list[Setting]:
        return [Setting(self.model, dataset, recipe) for dataset in self.datasets]

    @cached_property
    def methods(self) -> list[Method]:
        """Every recipe and source of probabilities that all of the datasets have."""
        return [
            Method(recipe, predictive)
            for recipe in self.recipes
            for predictive in _common(self.run.predictives(setting) for setting in self.settings(recipe))
        ]

    @cached_property
    def scored(self) -> list[Method]:
        """Every score of every method that all of the datasets have: of each its first variant."""
        return [method._replace(variant=variant) for method in self.methods for variant in self._scores(method)]

    def _scores(self, method: Method) -> list[str]:
        found = _common(self._variants(setting, method.predictive) for setting in self.settings(method.recipe))
        return list(dict.fromkeys(self.run.own_variants(variant)[0] for variant in found))

    def _variants(self, setting: Setting, predictive: str) -> list[str]:
        return [variant for source, variant in self.run.scored(setting) if source == predictive]

    @cached_property
    def _costs(self) -> dict[tuple[Method, str], Cost]:
        return {
            (method, setting.dataset): cost.cost(self.run, setting, method.predictive)
            for method in self.methods
            for setting in self.settings(method.recipe)
        }

    def over(self, method: Method, value: Callable[[Cost], float | None]) -> float | None:
        """A part of a method's cost, mean over the datasets; None where one of them lacks it."""
        return mean([value(self._costs[method, dataset]) for dataset in self.datasets])

    def times(self, method: Method, value: Callable[[Cost], float | None]) -> float | None:
        """A part of a method's cost as a multiple of plain LoRA's: the geometric mean over the datasets."""
        if self.plain is None:
            return None
        pairs = [[value(self._costs[m, dataset]) for m in (method, self.plain)] for dataset in self.datasets]
        if not all(one and other for one, other in pairs):
            return None
        return float(np.exp(np.mean([np.log(one) - np.log(other) for one, other in pairs])))

    def of_score(self, method: Method) -> tuple[float | None, float | None]:
        """Milliseconds an example in which a method's score was fitted and computed, and its memory in MiB."""
        score = self.run.score_of(method.variant)
        found = [cost.of_score(self.run, s, method.predictive, score) for s in self.settings(method.recipe)]
        peaks = [peak for _, peak in found if peak is not None]
        return mean([took for took, _ in found]), max(peaks, default=None)

    def quality(self, method: Method, metric: str) -> float | None:
        """A metric, mean over seeds and then over the datasets; None where one of them lacks it."""
        variant = method.variant or PREDICTION
        settings = self.settings(method.recipe)
        return mean([self.run.over_seeds(s, metric, variant, method.predictive).mean for s in settings])

    def test(self, method: Method) -> float | None:
        """Milliseconds an example of all that follows training: passes, fits, and the score if the method has one."""
        model, records = (self.over(method._replace(variant=""), part) for part in (_model, _records))
        score = self.of_score(method)[0] if method.variant else 0.0
        return None if model is None or records is None or score is None else model + records + score

    def is_repeated(self, method: Method) -> bool:
        """Whether the model runs more than once, or is differentiated, for an example."""
        name, _ = parse_predictive(method.predictive)
        reads = self.run.methods.get(name, {}).get("reads")
        return reads in ("adapter", "laplace") or cost.passes(self.run, method.predictive) > 1


def _model(found: Cost) -> float | None:
    return found.model


def _records(found: Cost) -> float | None:
    return found.records


def mean(values: Sequence[float | None]) -> float | None:
    """The mean; None where a value is missing, or all."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known and len(known) == len(values) else None


def _common(lists: Iterable[Sequence[str]]) -> list[str]:
    """The items that all lists have, in the order of the first."""
    first, *others = lists
    return [one for one in dict.fromkeys(first) if all(one in other for other in others)]


def groups(run: Run, settings: Sequence[Setting]) -> list[Group]:
    """The settings' models, each with the datasets on which it has the same recipes."""
    recipes: dict[tuple[str, str], list[str]] = {}
    for setting in settings:
        recipes.setdefault((setting.model, setting.dataset), []).append(setting.recipe)
    datasets: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for (model, dataset), found in recipes.items():
        datasets.setdefault((model, tuple(found)), []).append(dataset)
    return [Group(run, model, tuple(names), found) for (model, found), names in datasets.items()]
