"""Which rule makes a predictive's samples, and the part of its spec that both such rules share."""

from pathlib import Path
from typing import Any

from peftuq.jobs.context import Context
from peftuq.jobs.rule import Rule, pattern

RULES = {  # by what a predictive reads
    "records": "predict_from_records",
    "epochs": "predict_from_records",
    "laplace": "predict_from_records",
    "samples": "predict_from_records",
    "adapter": "predict_with_model",
}


class Predictives:
    """Every predictive of a study, by its key, such as `ensemble-5`."""

    def __init__(self, context: Context):
        self._context, self._study = context, context.study

    def rule_of(self, predictive: str) -> str | None:
        """The rule that makes a predictive's samples; `point` is an adapter's records themselves."""
        return None if predictive == "point" else RULES[self.reads(predictive)]

    def reads(self, predictive: str) -> str:
        return self._study.methods.predictive(self._study.predictive(predictive)[0]).reads

    def needs(self, predictive: str) -> list[str]:
        return list(self._study.methods.predictive(self._study.predictive(predictive)[0]).needs)

    def read_by(self, predictive: str) -> str:
        """The predictive whose samples another one reads."""
        return str(self._study.methods.predictive(self._study.predictive(predictive)[0]).params["of"])

    def file(self, predictive: str) -> Path:
        """The predictive's plug-in."""
        return self._study.methods.predictives[self._study.predictive(predictive)[0]]

    def made_by(self, rule: str) -> str:
        """A pattern of the predictives that a rule makes."""
        return pattern(cell.predictive for cell in self._study.cells if self.rule_of(cell.predictive) == rule)

    def spec(self, w: Any) -> dict[str, Any]:
        name, size = self._study.predictive(w.predictive)
        evals = self._context.valid_and_evals(self._context.setting(w))
        return {**self._context.method(name), "size": size, "evals": evals, "seed": int(w.seed)}


class PredictiveRule(Rule):
    """A rule that makes the samples of predictives."""

    def __init__(self, context: Context, predictives: Predictives):
        super().__init__(context)
        self._predictives = predictives

    @property
    def predictives(self) -> str:
        """A pattern of the predictives that the rule makes."""
        return self._predictives.made_by(self.script)

    def plugins(self, w: Any) -> list[Path]:
        return [*super().plugins(w), self._predictives.file(w.predictive)]
