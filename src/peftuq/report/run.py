"""A run as the report reads it: what was requested, what was measured, and why something was not."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from peftuq import artifacts, files
from peftuq.cells import PREDICTION, Setting, parse_predictive
from peftuq.metrics.evaluate import METRICS, needs_label
from peftuq.paths import Paths
from peftuq.report.comparison import Comparison

KINDS = ("encoder", "decoder")  # the order in which the papers print their models


@dataclass(frozen=True)
class OverSeeds:
    """A metric of one setting over its seeds: the values, and the seeds that were asked for but gave none."""

    values: dict[int, float] = field(default_factory=dict)
    missing: list[int] = field(default_factory=list)  # not in the metrics table
    undefined: list[int] = field(default_factory=list)  # measured, but without a value on this test set
    reason: str = ""  # when the metric is undefined

    @property
    def requested(self) -> bool:
        return bool(self.values or self.missing or self.undefined)

    @property
    def mean(self) -> float | None:
        return float(np.mean(list(self.values.values()))) if self.values else None

    @property
    def std(self) -> float | None:
        """Sample standard deviation (ddof = 1); None for fewer than two seeds."""
        return float(np.std(list(self.values.values()), ddof=1)) if len(self.values) > 1 else None

    @property
    def note(self) -> str:
        """The footnote on the seeds without a value; empty when there are none."""
        gaps = [f"{_seeds(self.missing)}: not among the run’s metrics"] if self.missing else []
        gaps += [f"{_seeds(self.undefined)}: undefined ({self.reason})"] if self.undefined else []
        requested = len(self.values) + len(self.missing) + len(self.undefined)
        kept = [f"mean over {len(self.values)} of {requested} seeds"] if gaps and self.values else []
        return "; ".join([*kept, *gaps])


def _seeds(seeds: Sequence[int]) -> str:
    return f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"


Check = Callable[[str], None]


def _trust(path: str) -> None:
    pass


class Run:
    """The cells (`cells.json`), their long table of metrics, and where the files of `results` lie.

    `cells` has the keys suites, cells, models, datasets, recipes, methods, limit and limits. `metrics` are the columns
    of `gather.long_table`; a value of None or NaN is undefined. `check` sees every other file before it is read.
    """

    def __init__(self, cells: Mapping[str, Any], metrics: Mapping[str, Sequence], results: str, check: Check = _trust):
        self.suites, self.models, self.datasets = cells["suites"], cells["models"], cells["datasets"]
        self.recipes, self.methods = cells["recipes"], cells["methods"]
        self.limit, self.limits = cells["limit"], cells["limits"]
        self.cells: list[dict[str, Any]] = cells["cells"]
        self.paths = Paths(results)
        self._metrics, self._check = metrics, check

    @classmethod
    def read(cls, cells: str, metrics: str, results: str, check: Check = _trust) -> "Run":
        return cls(files.read_json(cells), files.read_columns(metrics), results, check)

    def file(self, path: str) -> Path | None:
        """A file of the run that may be read: it has been checked; None when it is missing."""
        found = Path(path)
        if not found.is_file():
            return None
        self._check(path)
        return found

    def _json(self, path: str) -> Any:
        found = self.file(path)
        return None if found is None else files.read_json(found)

    # -- what was asked for ----------------------------------------------------------------------------

    def settings(self, section: str) -> list[Setting]:
        """The settings of the suites that feed a section of the report, encoders first, else in the cells’ order."""
        suites = {name for name, suite in self.suites.items() if section in suite["sections"]}
        return self._ordered(cell for cell in self.cells if suites.intersection(cell["suites"]))

    @cached_property
    def all_settings(self) -> list[Setting]:
        return self._ordered(self.cells)

    def _ordered(self, cells: Iterable[dict[str, Any]]) -> list[Setting]:
        found = list(dict.fromkeys(Setting(cell["model"], cell["dataset"], cell["recipe"]) for cell in cells))
        models = list(dict.fromkeys(setting.model for setting in found))
        # Stable sorts: a model's settings stand together, its kind decides which models come first.
        found.sort(key=lambda setting: models.index(setting.model))
        return sorted(found, key=lambda setting: KINDS.index(self.kind(setting)))

    @cached_property
    def _cells_of(self) -> dict[Setting, list[dict[str, Any]]]:
        found: dict[Setting, list[dict[str, Any]]] = {}
        for cell in self.cells:
            found.setdefault(_setting(cell), []).append(cell)
        return found

    def kind(self, setting: Setting) -> str:
        """The kind of the setting's model: one of KINDS."""
        return self.models[setting.model]["kind"]

    def task(self, setting: Setting) -> str:
        """The task of the setting's dataset: classification or choice."""
        return self.datasets[setting.dataset]["kind"]

    def shifts(self, setting: Setting) -> list[str]:
        return list(self._shifts.get(setting, []))

    @cached_property
    def _shifts(self) -> dict[Setting, list[str]]:
        evals = {
            setting: dict.fromkeys(e for cell in cells for e in cell["evals"])
            for setting, cells in self._cells_of.items()
        }
        return {setting: [name for name in found if name != "test"] for setting, found in evals.items()}

    def labelled_shifts(self, setting: Setting) -> list[str]:
        """The shift sets whose labels are known: those on which right can be told from wrong."""
        return [name for name in self.shifts(setting) if self.labelled(name)]

    def labelled(self, dataset: str) -> bool:
        return bool(self.datasets[dataset].get("labelled", True))

    def predictives(self, setting: Setting) -> list[str]:
        return list(dict.fromkeys(cell["predictive"] for cell in self._cells_of.get(setting, [])))

    def adapters(self, setting: Setting) -> list[int]:
        """The seeds whose adapters the setting's cells work on; none where the recipe trains nothing."""
        if self.recipes[setting.recipe]["adapter"] is None:
            return []
        seeds: set[int] = set()
        for cell in self._cells_of.get(setting, []):
            name, size = parse_predictive(cell["predictive"])
            pooled = "members" in self.methods.get(name, {}).get("needs", [])
            seeds.update(range(cell["seed"], cell["seed"] + (size if pooled and size else 1)))
        return sorted(seeds)

    def seeds(self, setting: Setting, predictive: str, variant: str = PREDICTION) -> list[int]:
        """The seeds for which a score's variant was asked for."""
        return self._requested.get((setting, predictive, variant), [])

    @cached_property
    def _requested(self) -> dict[tuple[Setting, str, str], list[int]]:
        requested: dict[tuple[Setting, str, str], list[int]] = {}
        for cell in self.cells:
            variants = (variant for score in cell["scores"] for variant in self.methods[score]["variants"])
            for variant in (PREDICTION, *variants):
                requested.setdefault((_setting(cell), cell["predictive"], variant), []).append(cell["seed"])
        return requested

    def scored(self, setting: Setting) -> list[tuple[str, str]]:
        """(predictive, variant) of every score that the setting was asked for."""
        return list(self._scored.get(setting, []))

    @cached_property
    def _scored(self) -> dict[Setting, list[tuple[str, str]]]:
        found: dict[Setting, list[tuple[str, str]]] = {}
        for setting, predictive, variant in self._requested:
            if variant != PREDICTION:
                found.setdefault(setting, []).append((predictive, variant))
        return found

    def score_of(self, variant: str) -> str:
        """The score that declares a variant; "" where the run has none."""
        return next((name for name, method in self.methods.items() if variant in method.get("variants", [])), "")

    def own_variants(self, variant: str) -> list[str]:
        """The variants of the score that gives this one: the method itself, as declared."""
        return self.methods.get(self.score_of(variant), {}).get("variants", [variant])

    def probabilities(self) -> set[str]:
        """The variants that their scores declare to be probabilities of error."""
        return {variant for method in self.methods.values() for variant in method.get("probabilities", [])}

    # -- what was measured -----------------------------------------------------------------------------

    @cached_property
    def _values(self) -> dict[tuple, dict[int, float | None]]:
        """(setting, predictive, variant, eval, metric) → seed → value. A cell of two suites is there once."""
        names = ("model", "dataset", "recipe", "predictive", "method", "eval", "metric", "seed", "value")
        values: dict[tuple, dict[int, float | None]] = {}
        for model, dataset, recipe, predictive, method, part, metric, seed, value in zip(
            *(self._metrics[name] for name in names), strict=True
        ):
            key = (Setting(model, dataset, recipe), predictive, method, part, metric)
            defined = value is not None and not math.isnan(value)
            values.setdefault(key, {})[int(seed)] = float(value) if defined else None
        return values

    def over_seeds(
        self, setting: Setting, metric: str, variant: str = PREDICTION, predictive: str = "point", on: str = ""
    ) -> OverSeeds:
        """A metric over seeds; `on` is a shift set, by default the setting's own test split.

        What needs labels was not asked for on a set without them.
        """
        if on and not self.labelled(on) and metric in METRICS and needs_label(metric):
            return OverSeeds()
        requested = self.seeds(setting, predictive, variant)
        found = self._values.get((setting, predictive, variant, on or setting.dataset, metric), {})
        return OverSeeds(
            values={seed: value for seed in requested if (value := found.get(seed)) is not None},
            missing=[seed for seed in requested if seed not in found],
            undefined=[seed for seed in requested if seed in found and found[seed] is None],
            reason=METRICS.get(metric, {}).get("undefined") or "no examples, or a score that is not a number",
        )

    def model_origin(self, model: str) -> dict[str, Any]:
        """The source of a backbone: its provenance.json; empty when it is missing."""
        return self._json(self.paths.model(model)) or {}

    def dataset_facts(self, dataset: str) -> tuple[dict[str, int], dict[str, str]]:
        """Rows of each split, and what the splits note of themselves; a missing file has no entry."""
        import pyarrow.parquet as pq

        rows, notes = {}, {}
        for split in ("train", "valid", "test"):
            path = self.file(self.paths.data(split, dataset))
            if path is not None:
                file = pq.read_metadata(path)
                rows[split] = file.num_rows
                notes = {key.decode(): value.decode() for key, value in (file.metadata or {}).items()}
        return rows, notes

    def comparison(self, setting: Setting, on: str = "") -> Comparison | None:
        """The setting's scores in pairs; `on` is a shift set with labels. None when it is missing."""
        found = (self._json(self.paths.comparison(*setting)) or {}).get(on or "test")
        return None if found is None else Comparison(found)

    def training(self, setting: Setting, seed: int) -> dict[str, Any] | None:
        """An adapter's training.json with its epochs as `log`; None when it is missing or nothing was trained."""
        facts = self._json(self.paths.training(*setting, seed))
        if facts is None:
            return None
        log = self.file(self.paths.training_log(*setting, seed))
        return {**facts, "log": [] if log is None else files.read_lines(log)}

    def inputs(self, setting: Setting) -> tuple[int, dict[str, int]] | None:
        """Most tokens of an input, and by split or shift set how many inputs lost some; None where nobody counted."""
        seed = self._cells_of[setting][0]["seed"]  # all read alike
        recorded = self._json(self.paths.facts(self.paths.records(*setting, seed))) or {}
        if "cut" not in recorded:
            return None
        trained = self._json(self.paths.training(*setting, seed)) or {}
        return recorded["max_length"], recorded["cut"] | trained.get("cut", {})

    def sample_facts(self, setting: Setting, seed: int, predictive: str) -> dict[str, str]:
        """The metadata of a predictive's samples, such as the temperature it fitted; empty when its file is missing."""
        path = self.file(self.paths.samples(*setting, seed, predictive))
        return {} if path is None else artifacts.SampleFile(path).metadata

    def scores(self, setting: Setting, seed: int, score: str, predictive: str = "point") -> artifacts.Scores | None:
        """One seed's per-example scores on the test split; None when the file is missing."""
        path = self.file(self.paths.scores(*setting, seed, predictive, score))
        return None if path is None else artifacts.read_scores(path).on("test")

    def evaluation(self, setting: Setting, seed: int, predictive: str = "point") -> dict[str, Any] | None:
        """`seconds` that a model took over so many `examples`; None where that is not noted.

        It stands beside the adapter's records or, where a predictive runs the model again, beside its samples or fit.
        """
        reads = self.methods.get(parse_predictive(predictive).name, {}).get("reads")
        made = {
            "adapter": self.paths.samples(*setting, seed, predictive),
            "laplace": self.paths.laplace(*setting, seed),
        }
        return self._json(self.paths.facts(made.get(reads, self.paths.records(*setting, seed))))

    def job(self, setting: Setting, seed: int, predictive: str, score: str = "") -> dict[str, Any] | None:
        """Facts of the job that made a predictive's samples, or with `score` its scores; None where they are missing.

        They are `seconds`, `examples` and `peak_mib` (`usage.measured`).
        """
        cell = (*setting, seed, predictive)
        return self._json(self.paths.facts(self.paths.scores(*cell, score) if score else self.paths.samples(*cell)))


def _setting(cell: Mapping[str, Any]) -> Setting:
    return Setting(cell["model"], cell["dataset"], cell["recipe"])
