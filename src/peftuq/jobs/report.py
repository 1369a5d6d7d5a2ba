"""Needs of the rule of report.smk: every file that the report reads."""

import hashlib
from functools import cached_property
from pathlib import Path
from typing import Any

from peftuq.config.study import PACKAGE, PARTS
from peftuq.jobs.context import Context
from peftuq.jobs.posthoc import Trace
from peftuq.jobs.predict import FitLaplace
from peftuq.jobs.reference_posterior import ComparePosteriors
from peftuq.jobs.rule import Rule
from peftuq.jobs.train import Train


class RenderReport(Rule):
    script = "render_report"

    def __init__(
        self,
        context: Context,
        train: Train,
        fit_laplace: FitLaplace,
        trace: Trace,
        compare_posteriors: ComparePosteriors,
    ):
        super().__init__(context)
        self._train, self._fit_laplace = train, fit_laplace
        self._trace, self._compare_posteriors = trace, compare_posteriors

    def inputs(self, w: Any) -> dict[str, Any]:
        """Files by kind; a job on another machine finds no other file than these."""
        study, paths = self._study, self._paths
        trained = [adapter for adapter in study.adapters if self._train.rule_of(adapter.recipe) is not None]
        return {
            "cells": paths.cells,
            "metrics": paths.metrics_table,
            "models": [paths.model(model) for model in dict.fromkeys(setting.model for setting in study.settings)],
            "data": [paths.data(split, name) for name in study.dataset_names for split in PARTS],
            "trainings": [path(*adapter) for adapter in trained for path in (paths.training, paths.training_log)],
            "facts": list(map(paths.facts, self._measured())),
            "temperatures": [paths.samples(*cell) for cell in study.cells if cell.predictive == "temperature"],
            "scores": [paths.scores(*cell, score) for cell, scores in study.cells.items() for score in scores],
            "traces": [path(*s) for s in self._trace.settings for path in (paths.trace, paths.trace_examples)],
            "comparisons": [paths.comparison(*setting) for setting in study.settings],
            "gold": self._compare_posteriors.outputs(),
        }

    def named(self, w: Any) -> list[str]:
        return [self._paths.cells, self._paths.metrics_table]

    def _measured(self) -> list[str]:
        """Outputs beside which lies what their jobs took."""
        study, paths = self._study, self._paths
        made = [paths.records(*adapter) for adapter in study.adapters]
        made += [paths.laplace(*adapter) for adapter in self._fit_laplace.adapters]
        made += [paths.samples(*cell) for cell in study.cells if cell.predictive != "point"]
        return made + [paths.scores(*cell, score) for cell, scores in study.cells.items() for score in scores]

    def plugins(self, w: Any) -> list[Path]:
        """The files of the report's sections: it finds them when it is rendered, so that no import names them."""
        return sorted((PACKAGE / "report").glob("*/section.py"))

    @cached_property
    def template(self) -> str:
        """Digest of the document's template, which is no Python that `code` could see."""
        return hashlib.sha256((PACKAGE.parents[1] / "reports" / "template.typ").read_bytes()).hexdigest()[:16]
