"""Needs of every rule of the workflow: `jobs.<rule>.inputs`, `jobs.<rule>.spec`, `jobs.<rule>.code`."""

from functools import partial
from typing import Any

from peftuq.config.study import PARTS, Study
from peftuq.errors import UserError
from peftuq.jobs.context import Context
from peftuq.jobs.data import FetchData, FetchModel, PrepareData
from peftuq.jobs.evaluate import Aggregate, Compare, Evaluate, ListCells
from peftuq.jobs.posthoc import FitScores, PredictFromRecords, Trace
from peftuq.jobs.predict import FitLaplace, PredictWithModel
from peftuq.jobs.predictives import Predictives
from peftuq.jobs.reference_posterior import ComparePosteriors
from peftuq.jobs.report import RenderHtml, RenderReport
from peftuq.jobs.rule import Rule
from peftuq.jobs.train import Extract, Train


class Jobs:
    """The rules by name; those that run one script (`train`, `fit_scores`) by the script's."""

    def __init__(self, study: Study):
        context = Context(study)
        self.context, self.study, self.paths, self.codes = context, study, context.paths, context.codes
        self.predictives = Predictives(context)

        self.fetch_model = FetchModel(context)
        self.fetch_data = FetchData(context)
        self.prepare_data = PrepareData(context, self.fetch_data)
        self.train = Train(context)
        self.extract = Extract(context)
        self.predict_with_model = PredictWithModel(context, self.predictives)
        self.fit_laplace = FitLaplace(context, self.predictives)
        self.predict_from_records = PredictFromRecords(context, self.predictives)
        self.fit_scores = FitScores(context)
        self.trace = Trace(context, self.train)
        self.evaluate = Evaluate(context)
        self.compare = Compare(context)
        self.list_cells = ListCells(context)
        self.aggregate = Aggregate(context)
        self.compare_posteriors = ComparePosteriors(context)
        self.render_report = RenderReport(context, self.train, self.fit_laplace, self.trace, self.compare_posteriors)
        self.render_html = RenderHtml(context, self.render_report)
        self._declare()

    def _declare(self) -> None:
        """Which rule makes which files: those that another job reads."""
        paths = self.paths
        trained = [paths.adapter(), paths.adapter_config(), paths.training(), paths.training_log(), paths.epochs()]
        made: list[tuple[Rule, list[str]]] = [
            (self.fetch_model, [paths.model()]),
            (self.fetch_data, [paths.source()]),
            (self.prepare_data, [paths.data(part) for part in PARTS]),
            (self.train, trained),
            (self.extract, [paths.records(), paths.facts(paths.records())]),
            (self.fit_laplace, [paths.laplace(), paths.facts(paths.laplace())]),
            (self.fit_scores, [paths.scores(), paths.facts(paths.scores())]),
            (self.trace, [paths.trace(), paths.trace_examples()]),
            (self.evaluate, [paths.metrics()]),
            (self.compare, [paths.comparison()]),
            (self.compare_posteriors, [paths.posterior_comparison()]),
            (self.list_cells, [paths.cells]),
            (self.aggregate, [paths.metrics_table]),
        ]
        self.context.identities.declare({path: partial(_always, rule) for rule, files in made for path in files})
        self.context.identities.declare(dict.fromkeys([paths.samples(), paths.facts(paths.samples())], self._sampler))

    def _sampler(self, w: Any) -> Rule:
        by_model = self.predictives.rule_of(w.predictive) == "predict_with_model"
        return self.predict_with_model if by_model else self.predict_from_records

    def start(self) -> None:
        """A run begins: write down what only its own machine knows, for its jobs and for `peftuq why`.

        Raises `UserError` where the folder of results cannot be written to.
        """
        try:
            self.codes.start()
            self.context.identities.start()
        except OSError as error:
            results = self.study.config.results
            raise UserError(f"results: nothing can be written to {results} ({error.strerror or error}): mend this, or "
                            "name another folder") from error  # fmt: skip


def _always(rule: Rule, w: Any) -> Rule:
    return rule
