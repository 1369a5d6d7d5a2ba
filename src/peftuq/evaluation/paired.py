"""Two methods on the same examples, in every cell that has both: the difference of a metric with its interval."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from peftuq.artifacts import SampleFile, read_scores
from peftuq.cells import Setting
from peftuq.errors import UserError
from peftuq.metrics.bootstrap import Difference, Metric, Runs, paired_bootstrap
from peftuq.metrics.evaluate import METRICS, function
from peftuq.paths import Paths

_METHOD = re.compile(r"((?P<recipe>[^:/]+):)?(?P<predictive>[^:/]+)(/(?P<variant>[^:/]+))?")


class Method(NamedTuple):
    """A score's `variant` of a `predictive`, or the predictive itself (None), of one `recipe` or of any (None)."""

    recipe: str | None
    predictive: str
    variant: str | None

    def __str__(self) -> str:
        of_recipe = f"{self.recipe}:" if self.recipe else ""
        return of_recipe + self.predictive + (f"/{self.variant}" if self.variant else "")

    @classmethod
    def parse(cls, text: str) -> "Method":
        """[recipe:]predictive[/variant]. Raises `UserError` for another form."""
        match = _METHOD.fullmatch(text)
        if not match:
            raise UserError(f"{text}: no method: write [recipe:]predictive[/score], such as point/sr or temperature")
        return cls(**match.groupdict())


class Paired(NamedTuple):
    """The mean metric of two methods over their common seeds, and the difference of the first minus the second."""

    model: str
    dataset: str
    eval: str
    recipes: tuple[str, str]
    values: tuple[float, float]
    difference: Difference

    @property
    def sign(self) -> int:
        """1 if the first is larger beyond the interval, -1 if it is smaller, 0 if the interval holds both."""
        return int(self.difference.low > 0) - int(self.difference.high < 0)


def default_metric(methods: Sequence[Method]) -> str:
    return "nll" if methods[0].variant is None else "auroc"


def check(methods: tuple[Method, Method], metric: str) -> None:
    """Raises `UserError` for a pair, or a metric of it, that cannot be compared."""
    one, other = methods
    if one == other:
        raise UserError(f"{one}: compared with itself: name two methods")
    if (one.recipe is None) != (other.recipe is None):
        raise UserError(f"{one}, {other}: name the recipe of both, or of neither")
    if (one.variant is None) != (other.variant is None):
        raise UserError(f"{one}, {other}: name a score of both, or of neither: they have other metrics")
    asked = "prediction" if one.variant is None else "score"
    allowed = [name for name, facts in METRICS.items() if facts["of"] == asked and _has_function(name)]
    if metric not in allowed:
        raise UserError(f"--metric {metric}: {'predictives are' if one.variant is None else 'scores are'} compared by "
                        f"one of {', '.join(allowed)}")  # fmt: skip


def _has_function(metric: str) -> bool:
    try:
        return bool(function(metric))
    except KeyError:
        return False


def ran(run: Mapping[str, Any], method: Method) -> bool:
    """Whether a cell of a run, the content of `cells.json`, has a method."""
    files = _Files(run, Paths())
    return any(files.has(cell, method) for cell in run["cells"])


def compare(
    run: Mapping[str, Any], results: str, methods: tuple[Method, Method], metric: str, resamples: int
) -> Iterator[Paired]:
    """A pair for every evaluation set with labels of every setting that has both methods.

    `run` is the content of `cells.json`; both are measured on the same resamples of the test examples. Raises
    `UserError` for a file that is missing, or methods that were measured on different examples.
    """
    files = _Files(run, Paths(results))
    for (model, dataset), recipes in files.pairs(methods).items():
        for pair in recipes:
            settings = [Setting(model, dataset, recipe) for recipe in pair]
            for part in files.labelled(settings):
                runs = {str(n): files.runs(settings[n], methods[n], part) for n in (0, 1)}
                found = _paired(runs, function(metric), resamples)
                if found is not None:
                    name = dataset if part == "test" else part
                    yield Paired(model, dataset, name, pair, *found)


def _paired(runs: Mapping[str, Runs], metric: Metric, resamples: int) -> tuple[tuple[float, float], Difference] | None:
    if not all(runs.values()):
        return None
    difference = paired_bootstrap(runs, metric, resamples=resamples)["0", "1"]
    if difference is None:
        return None
    one, other = (float(np.mean([metric(*of[seed]) for seed in difference.seeds])) for of in runs.values())
    return (one, other), difference


class _Files:
    """A run's files per example, by what they are of."""

    def __init__(self, run: Mapping[str, Any], paths: Paths):
        self._paths, self._cells, self._datasets = paths, run["cells"], run["datasets"]
        self._score_of = {v: name for name, method in run["methods"].items() for v in method.get("variants", [])}

    def pairs(self, methods: tuple[Method, Method]) -> dict[tuple[str, str], list[tuple[str, str]]]:
        """(model, dataset) → the recipes of the two methods, where both are. `UserError` if that is nowhere."""
        having = [[cell for cell in self._cells if self.has(cell, method)] for method in methods]
        for method, cells in zip(methods, having, strict=True):
            if not cells:
                there = dict.fromkeys(cell["predictive"] for cell in self._cells)
                raise UserError(f"{method}: no cell of the run has it; predictives: {', '.join(there)}; scores: "
                                f"{', '.join(self._score_of)}")  # fmt: skip
        found: dict[tuple[str, str], list[tuple[str, str]]] = {}
        for one, other in ((one, other) for one in having[0] for other in having[1]):
            task, pair = (one["model"], one["dataset"]), (one["recipe"], other["recipe"])
            together = methods[0].recipe is not None or pair[0] == pair[1]
            if together and task == (other["model"], other["dataset"]) and pair not in found.setdefault(task, []):
                found[task].append(pair)
        if not any(found.values()):
            raise UserError(f"{methods[0]}, {methods[1]}: no cell of the run has both: name others")
        return found

    def has(self, cell: Mapping[str, Any], method: Method) -> bool:
        scored = method.variant is None or self._score_of.get(method.variant) in cell["scores"]
        return scored and cell["predictive"] == method.predictive and method.recipe in (None, cell["recipe"])

    def labelled(self, settings: Sequence[Setting]) -> list[str]:
        """The evaluation sets with labels that all the settings have."""
        sets = [{e for cell in self._of(setting) for e in cell["evals"]} for setting in settings]
        ordered = [e for cell in self._of(settings[0]) for e in cell["evals"]]
        own = settings[0].dataset
        known = [e for e in ordered if self._datasets[own if e == "test" else e].get("labelled", True)]
        return list(dict.fromkeys(e for e in known if all(e in here for here in sets)))

    def _of(self, setting: Setting) -> list[dict[str, Any]]:
        return [c for c in self._cells if (c["model"], c["dataset"], c["recipe"]) == tuple(setting)]

    def runs(self, setting: Setting, method: Method, part: str) -> Runs:
        """By seed: (score, error), or (probabilities, label) of the predictive itself."""
        seeds = dict.fromkeys(cell["seed"] for cell in self._of(setting) if self.has(cell, method))
        return {seed: self._run(setting, seed, method, part) for seed in seeds}

    def _run(self, setting: Setting, seed: int, method: Method, part: str) -> tuple[np.ndarray, np.ndarray]:
        cell = (*setting, seed, method.predictive)
        if method.variant is None:
            sample = SampleFile(self._there(self._paths.samples(*cell)))[part]
            return sample.mean, sample.label
        scores = read_scores(self._there(self._paths.scores(*cell, self._score_of[method.variant]))).on(part)
        return scores.variants[method.variant], np.asarray(scores.error, dtype=bool)

    def _there(self, path: str) -> Path:
        if not Path(path).is_file():
            raise UserError(f"{path}: is missing: run the workflow again, `peftuq status` says what is due")
        return Path(path)
