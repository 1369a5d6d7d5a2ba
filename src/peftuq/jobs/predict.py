"""Needs of the rules of predict.smk: predictive distributions around a saved adapter, by its model."""

from typing import Any

from peftuq.cells import Adapter
from peftuq.jobs import identity
from peftuq.jobs.context import Context
from peftuq.jobs.predictives import PredictiveRule, Predictives
from peftuq.jobs.rule import ModelRule


class PredictWithModel(PredictiveRule, ModelRule):
    script = "predict_with_model"

    def inputs(self, w: Any) -> dict[str, Any]:
        inputs = self._model_inputs(w, self._context.valid_and_evals(self._context.setting(w)))
        needs = self._predictives.needs(w.predictive)
        return inputs | ({"train": self._paths.data("train", w.dataset)} if "train" in needs else {})

    def spec(self, w: Any) -> str:
        return identity.spec(**self._model_spec(w), **self._predictives.spec(w))


class FitLaplace(ModelRule):
    script = "fit_laplace"

    def __init__(self, context: Context, predictives: Predictives):
        super().__init__(context)
        self._predictives = predictives

    @property
    def adapters(self) -> list[Adapter]:
        """The adapters whose posterior is fitted."""
        cells = [cell for cell in self._study.cells if cell.predictive != "point"]
        return list(dict.fromkeys(c.adapter for c in cells if self._predictives.reads(c.predictive) == "laplace"))

    def inputs(self, w: Any) -> dict[str, Any]:
        parts = self._context.valid_and_evals(self._context.setting(w))
        return {**self._model_inputs(w, parts), "train": self._paths.data("train", w.dataset)}

    def spec(self, w: Any) -> str:
        methods = self._study.methods
        readers = [method for name in methods.predictives if (method := methods.predictive(name)).reads == "laplace"]
        (fitting,) = (method for method in readers if method.fit)
        params = {name: fitting.params[name] for name in fitting.fit}
        evals = self._context.valid_and_evals(self._context.setting(w))
        return identity.spec(**self._model_spec(w), params=params, evals=evals, seed=int(w.seed))
