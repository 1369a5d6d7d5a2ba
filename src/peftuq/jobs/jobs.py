"""Needs of every rule of the workflow: `jobs.<rule>.inputs`, `jobs.<rule>.spec`, `jobs.<rule>.code`."""

from peftuq.config.study import Study
from peftuq.jobs.context import Context
from peftuq.jobs.data import FetchData, FetchModel, PrepareData
from peftuq.jobs.evaluate import Aggregate, Compare, Evaluate, ListCells
from peftuq.jobs.posthoc import FitScores, PredictFromRecords, Trace
from peftuq.jobs.predict import FitLaplace, PredictWithModel
from peftuq.jobs.predictives import Predictives
from peftuq.jobs.reference_posterior import ComparePosteriors
from peftuq.jobs.report import RenderReport
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
        self.render_report = RenderReport(
            context, self.train, self.predictives, self.fit_laplace, self.trace, self.compare_posteriors
        )
