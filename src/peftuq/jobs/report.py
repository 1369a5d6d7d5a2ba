"""Needs of the rules of report.smk: every file that the report, and its page for a browser, reads."""

import hashlib
from functools import cached_property
from pathlib import Path
from typing import Any

from peftuq.cells import Adapter, first_seeds
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
        return {
            "cells": paths.cells,
            "metrics": paths.metrics_table,
            "models": [paths.model(model) for model in dict.fromkeys(setting.model for setting in study.settings)],
            "data": [paths.data(split, name) for name in study.dataset_names for split in PARTS],
            "trainings": [path(*one) for one in self.trained() for path in (paths.training, paths.training_log)],
            "facts": [*self.facts(), *map(paths.facts, self._scores())],
            "temperatures": [paths.samples(*cell) for cell in study.cells if cell.predictive == "temperature"],
            "scores": self._scores(),
            "traces": [path(*s) for s in self._trace.settings for path in (paths.trace, paths.trace_examples)],
            "comparisons": [paths.comparison(*setting) for setting in study.settings],
            "gold": self._compare_posteriors.outputs(),
        }

    def named(self, w: Any) -> list[str]:
        return [self._paths.cells, self._paths.metrics_table]

    def trained(self) -> list[Adapter]:
        return [adapter for adapter in self._study.adapters if self._train.rule_of(adapter.recipe) is not None]

    def _scores(self) -> list[str]:
        return [self._paths.scores(*cell, score) for cell, scores in self._study.cells.items() for score in scores]

    def facts(self) -> list[str]:
        """Time and memory of the jobs that made probabilities."""
        study, paths = self._study, self._paths
        made = [paths.records(*adapter) for adapter in study.adapters]
        made += [paths.laplace(*adapter) for adapter in self._fit_laplace.adapters]
        made += [paths.samples(*cell) for cell in study.cells if cell.predictive != "point"]
        return list(map(paths.facts, made))

    def plugins(self, w: Any) -> list[Path]:
        """The files of the report's sections: it finds them when it is rendered, so that no import names them."""
        return sorted((PACKAGE / "report").glob("*/section.py"))

    @cached_property
    def template(self) -> str:
        """Digest of the document's template, which is no Python that `code` could see."""
        return _digest(PACKAGE.parents[1] / "reports" / "template.typ")


class RenderHtml(Rule):
    script = "render_html"

    def __init__(self, context: Context, report: RenderReport):
        super().__init__(context)
        self._report = report

    def inputs(self, w: Any) -> dict[str, Any]:
        """Files by kind; of each setting's predictive the examples of one seed are read."""
        study, paths = self._study, self._paths
        shown, trained = first_seeds(study.cells), self._report.trained()
        return {
            "cells": paths.cells,
            "metrics": paths.metrics_table,
            "data": [paths.data("test", name) for name in study.dataset_names],
            "trainings": [path(*one) for one in trained for path in (paths.training, paths.training_log)],
            "facts": self._report.facts(),
            "samples": [paths.samples(*cell) for cell in shown],
            "scores": [paths.scores(*cell, score) for cell in shown for score in study.cells[cell]],
        }

    def named(self, w: Any) -> list[str]:
        return [self._paths.cells, self._paths.metrics_table]

    @cached_property
    def assets(self) -> str:
        """Digest of the page's markup, style and program, which are no Python that `code` could see."""
        folder = PACKAGE / "report" / "html"
        return _digest(*sorted(file for file in folder.iterdir() if file.suffix in (".html", ".css", ".js")))


def _digest(*files: Path) -> str:
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]
