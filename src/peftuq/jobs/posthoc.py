"""Needs of the rules of posthoc.smk: predictive distributions and scores from records alone."""

from functools import cached_property
from pathlib import Path
from typing import Any

from peftuq.cells import Setting
from peftuq.jobs.context import Context
from peftuq.jobs.predictives import PredictiveRule
from peftuq.jobs.rule import Rule, canonical, pattern
from peftuq.jobs.train import Train
from peftuq.specs import predict, score, trace


class PredictFromRecords(PredictiveRule):
    script = "predict_from_records"

    def inputs(self, w: Any) -> list[str]:
        """The files of all members, or of the one adapter."""
        cell = self._context.cell(w)
        if self._predictives.reads(w.predictive) == "samples":
            of = self._predictives.read_by(w.predictive)
            return [self._paths.samples(*cell.setting, seed, of) for seed in self._study.members(cell)]
        paths = {"records": self._paths.records, "epochs": self._paths.epochs, "laplace": self._paths.laplace}
        path = paths[self._predictives.reads(w.predictive)]
        return [path(*cell.setting, seed) for seed in self._study.members(cell)]

    def spec(self, w: Any) -> str:
        return canonical(predict.PredictFromRecords(**self._predictives.spec(w)))


class FitScores(Rule):
    """`fit_baselines` and `fit_adue`: one script for every score, in the environment that the score declares."""

    script = "fit_scores"
    RULES = {"numeric": "fit_baselines", "torch": "fit_adue"}  # by environment

    def rule_of(self, name: str) -> str:
        return self.RULES[self._study.methods.score(name).environment]

    def scores(self, rule: str) -> str:
        """A pattern of the scores that a rule computes, whether the run has them or not."""
        return pattern(name for name in self._study.methods.scores if self.rule_of(name) == rule)

    def inputs(self, w: Any) -> str:
        return self._paths.samples(*self._context.cell(w))

    def spec(self, w: Any) -> str:
        evals = self._study.evals(self._context.setting(w))
        return canonical(score.Score(**self._context.method(w.score), evals=evals, seed=int(w.seed)))

    def plugins(self, w: Any) -> list[Path]:
        return [self._study.methods.scores[w.score]]


class Trace(Rule):
    script = "trace"

    def __init__(self, context: Context, train: Train):
        super().__init__(context)
        self._train = train

    @cached_property
    def settings(self) -> dict[Setting, list[int]]:
        """Settings whose ensembles are followed through training, and the sizes that the run has, with 1."""
        sizes: dict[Setting, set[int]] = {}
        for cell in self._study.cells:
            size = self._study.pooled(cell.predictive)
            if size is not None and self._train.rule_of(cell.recipe) == "train_ensemble_member":
                sizes.setdefault(cell.setting, {1}).add(size)
        return {setting: sorted(found) for setting, found in sizes.items()}

    def inputs(self, w: Any) -> list[str]:
        setting = self._context.setting(w)
        return [self._paths.epochs(*setting, seed) for seed in range(max(self.settings[setting]))]

    def spec(self, w: Any) -> str:
        sizes = self.settings[self._context.setting(w)]
        # The histograms show five members, as the paper's do, or as many as there are.
        return canonical(trace.Trace(sizes=sizes, shown=5 if 5 in sizes else max(sizes)))
