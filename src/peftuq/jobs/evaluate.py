"""Needs of the rules of evaluate.smk: metrics, paired comparisons, and the table of all metrics."""

import hashlib
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

from peftuq.cells import PREDICTION
from peftuq.files import write_json
from peftuq.integrity import embed
from peftuq.jobs import identity
from peftuq.jobs.rule import Rule, canonical
from peftuq.specs import compare, evaluate


class Evaluate(Rule):
    script = "evaluate"

    def inputs(self, w: Any) -> dict[str, str]:
        samples = self._paths.samples(*self._context.cell(w))
        if w.score == PREDICTION:
            return {"samples": samples}
        return {"samples": samples, "scores": self._paths.scores(*self._context.cell(w), w.score)}

    def spec(self, w: Any) -> str:
        cell = self._context.cell(w)
        probabilities = [] if w.score == PREDICTION else self._study.methods.score(w.score).probabilities
        evals = self._study.evals(cell.setting)
        return canonical(evaluate.Evaluate(**cell._asdict(), score=w.score, evals=evals, probabilities=probabilities))


class Compare(Rule):
    script = "compare"

    def inputs(self, w: Any) -> list[str]:
        cells = self._study.cells_of(self._context.setting(w))
        return [self._paths.scores(*cell, score) for cell, scores in cells.items() for score in scores]

    def spec(self, w: Any) -> str:
        setting = self._context.setting(w)
        spec = compare.Compare(
            cells=list(self._study.cells_of(setting).items()),
            evals=self._study.evals(setting),
            resamples=self._study.config.bootstrap,
        )
        return canonical(spec)


class ListCells(Rule):
    """The run as data, for the report. No script: Snakemake's own process writes it."""

    @cached_property
    def cells(self) -> dict[str, Any]:
        """Every cell with its scores, evaluation sets and suites, and the contents of what the names stand for."""
        study = self._study
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

    def _recipe(self, name: str) -> dict[str, Any]:
        """A recipe as the run's models meet it: precision resolved, with the `prompts` of datasets that have others."""
        recipe = {**self._context.recipe(name).model_dump(), "precision": self._study.precision(name)}
        asked = [s.dataset for s in self._study.settings if s.recipe == name]
        prompts = {dataset: self._study.prompt_for(name, dataset) for dataset in dict.fromkeys(asked)}
        others = {dataset: prompt for dataset, prompt in prompts.items() if prompt != recipe["prompt"]}
        return {**recipe, "prompts": others} if others else recipe

    @cached_property
    def _digest(self) -> str:
        return hashlib.sha256(identity.spec(**self.cells).encode()).hexdigest()[:16]

    def spec(self, w: Any) -> str:
        """A digest: the cells themselves are long, and lie in the output."""
        return self._digest

    def code(self, w: Any) -> str:
        return ""

    def write(self, path: str, log: str) -> None:
        write_json(path, self.cells)
        made = self._context.identities.of(self._paths.cells)
        assert made is not None
        embed(path, made)
        Path(log).write_text(f"{len(self._study.cells)} cells of {len(self._study.settings)} settings\n")


class Aggregate(Rule):
    script = "aggregate"

    @cached_property
    def metrics(self) -> list[str]:
        """Every metrics file of the run."""
        return [
            self._paths.metrics(*cell, score)
            for cell, scores in self._study.cells.items()
            for score in (PREDICTION, *scores)
        ]

    def inputs(self, w: Any) -> dict[str, Any]:
        return {"cells": self._paths.cells, "metrics": self.metrics}

    def named(self, w: Any) -> list[str]:
        return [self._paths.cells]
