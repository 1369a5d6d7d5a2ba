"""Needs of the report: the run as data, and every file that it reads."""

import hashlib
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from peftuq.config.study import PACKAGE
from peftuq.files import write_json
from peftuq.jobs import identity

if TYPE_CHECKING:
    from peftuq.jobs.jobs import Jobs


class ReportJobs:
    """The part of `Jobs` that belongs to the report."""

    @cached_property
    def cells(self: "Jobs") -> dict[str, Any]:
        """The run as data: every cell with its scores, evaluation sets and suites, and what the names stand for."""
        study = self.study
        scores = dict.fromkeys(score for scores in study.cells.values() for score in scores)
        predictives = dict.fromkeys(study.predictive(cell.predictive)[0] for cell in study.cells)
        models = dict.fromkeys(setting.model for setting in study.settings)
        recipes = dict.fromkeys(setting.recipe for setting in study.settings)
        return {
            "suites": {name: suite.model_dump() for name, suite in study.suites.items()},
            "models": {name: study.models.get(name, "model", "").model_dump() for name in models},
            "datasets": {name: study.dataset(name).model_dump() for name in study.dataset_names},
            "recipes": {name: self._recipe(name) for name in recipes},
            "methods": {name: asdict(study.methods[name]) for name in (*scores, *predictives) if name != "point"},
            "limit": study.config.limit.model_dump(),
            "limits": {name: limit.model_dump() for name, limit in study.config.limits.items()},
            "cells": [
                {
                    **cell._asdict(),
                    "scores": scores,
                    "evals": study.evals(cell.setting),
                    "suites": study.suites_of[cell],
                }
                for cell, scores in study.cells.items()
            ],
        }

    def _recipe(self: "Jobs", name: str) -> dict[str, Any]:
        """A recipe as the run's models meet it: its precision is resolved."""
        recipe = self.study.recipes.get(name, "recipe", "").model_dump()
        return {**recipe, "precision": self.study.precision(name)}

    @cached_property
    def digest_cells(self: "Jobs") -> str:
        return hashlib.sha256(identity.spec(**self.cells).encode()).hexdigest()[:16]

    @cached_property
    def sections(self: "Jobs") -> list[Path]:
        """The files of the report's sections: it finds them when it is rendered, so that no import names them."""
        return sorted((PACKAGE / "report").glob("*/section.py"))

    @cached_property
    def template(self: "Jobs") -> str:
        """Digest of the document's template, which is no Python that `code` could see."""
        return hashlib.sha256((PACKAGE.parents[1] / "reports" / "template.typ").read_bytes()).hexdigest()[:16]

    def write_cells(self: "Jobs", path: str, log: str) -> None:
        write_json(path, self.cells)
        Path(log).write_text(f"{len(self.study.cells)} cells of {len(self.study.settings)} settings\n")

    def inputs_report(self: "Jobs", w: Any) -> dict[str, Any]:
        """By kind; a job on another machine finds no other file than these."""
        study, paths = self.study, self.paths
        trained = [adapter for adapter in study.adapters if self.trained_by(adapter.recipe) is not None]
        sampled = [cell for cell in study.cells if self.made_by(cell.predictive) == "sample"]
        timed = [paths.records(*adapter) for adapter in study.adapters]
        timed += [paths.samples(*cell) for cell in sampled] + [paths.laplace(*adapter) for adapter in self.fits]
        return {
            "cells": paths.cells,
            "metrics": paths.metrics_table,
            "models": [paths.model(model) for model in dict.fromkeys(setting.model for setting in study.settings)],
            "data": [paths.data(split, name) for name in study.dataset_names for split in ("train", "valid", "test")],
            "trainings": [path(*adapter) for adapter in trained for path in (paths.training, paths.training_log)],
            "durations": list(map(paths.duration, timed)),
            "temperatures": [paths.samples(*cell) for cell in study.cells if cell.predictive == "temperature"],
            "scores": [paths.scores(*cell, score) for cell, scores in study.cells.items() for score in scores],
            "traces": [path(*setting) for setting in self.traces for path in (paths.trace, paths.trace_examples)],
            "comparisons": [paths.comparison(*setting) for setting in study.settings],
            "gold": self.gold(),
        }
