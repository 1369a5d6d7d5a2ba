"""Needs of the rules that make predictive distributions: from records, from the model, or from its posterior."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from peftuq.config.study import Adapter
from peftuq.jobs import identity

if TYPE_CHECKING:
    from peftuq.jobs.jobs import Jobs

RULES = {"records": "predict", "epochs": "predict", "laplace": "predict", "adapter": "sample"}  # by what they work on


def pattern(names: Iterable[str]) -> str:
    """A regular expression that matches exactly these names; one that matches nothing if there are none."""
    return "|".join(map(re.escape, sorted(set(names)))) or "(?!)"


class PredictiveJobs:
    """The part of `Jobs` that belongs to predictive distributions."""

    def made_by(self: "Jobs", predictive: str) -> str | None:
        """The rule that makes a predictive's samples; `point` is an adapter's records themselves."""
        return None if predictive == "point" else RULES[self._works_on(predictive)]

    def _works_on(self: "Jobs", predictive: str) -> str:
        return self.study.methods.predictive(self.study.predictive(predictive)[0]).reads

    def _plugin(self: "Jobs", predictive: str) -> Path:
        return self.study.methods.predictives[self.study.predictive(predictive)[0]]

    def predictives_that(self: "Jobs", rule: str) -> str:
        """A pattern of the predictives that a rule makes; one that matches nothing if there are none."""
        return pattern(cell.predictive for cell in self.study.cells if self.made_by(cell.predictive) == rule)

    def _evals(self: "Jobs", w: Any) -> list[str]:
        return ["valid", *self.study.evals(self._adapter(w).setting)]  # valid calibrates conformal sets

    def _method(self: "Jobs", name: str) -> dict[str, Any]:
        """Spec of a score or predictive, whatever it is applied to."""
        method = self.study.methods[name]
        module = identity.module(self.study.methods.files[name])
        return {
            "method": name,
            "module": module,
            "version": method.version,
            "params": method.params,
            "reads": method.reads,
        }

    def _method_spec(self: "Jobs", w: Any) -> dict[str, Any]:
        name, size = self.study.predictive(w.predictive)
        return {**self._method(name), "size": size, "evals": self._evals(w), "seed": int(w.seed)}

    # -- from files, no model ------------------------------------------------------------------------------

    def inputs_pool(self: "Jobs", w: Any) -> list[str]:
        """Inputs of a post-hoc predictive: the files of all its members or of its adapter."""
        cell = self._cell(w)
        paths = {"records": self.paths.records, "epochs": self.paths.epochs, "laplace": self.paths.laplace}
        path = paths[self._works_on(w.predictive)]
        return [path(*cell.setting, seed) for seed in self.study.members(cell)]

    def spec_pool(self: "Jobs", w: Any) -> str:
        return identity.spec(**self._method_spec(w))

    def code_pool(self: "Jobs", w: Any) -> str:
        return self.code("predict", self._plugin(w.predictive))

    # -- from the model ------------------------------------------------------------------------------------

    def _inputs_model(self: "Jobs", w: Any, parts: list[str]) -> dict[str, Any]:
        """Inputs of a job that runs an adapter, or its recipe's untuned model, on some parts of its data."""
        data = [self._part_data(w.dataset, part) for part in parts]
        inputs: dict[str, Any] = {"model": self.paths.model(w.model), "data": data}
        if self.study.recipes.get(w.recipe, "recipe", "").adapter is not None:
            adapter = self._adapter(w)
            inputs |= {"adapter": self.paths.adapter(*adapter), "adapter_config": self.paths.adapter_config(*adapter)}
        return inputs

    def _spec_model(self: "Jobs", w: Any) -> dict[str, Any]:
        setting = self._adapter(w).setting
        return {"task": self._task(setting, self.study.evals(setting)), "adapter": self.adapter_kind(w.recipe)}

    def inputs_sample(self: "Jobs", w: Any) -> dict[str, Any]:
        return self._inputs_model(w, self._evals(w))

    def spec_sample(self: "Jobs", w: Any) -> str:
        return identity.spec(**self._spec_model(w), **self._method_spec(w))

    def code_sample(self: "Jobs", w: Any) -> str:
        return self.code_adapter("sample", self._plugin(w.predictive))(w)

    def inputs_laplace(self: "Jobs", w: Any) -> dict[str, Any]:
        return {**self._inputs_model(w, self._evals(w)), "train": self.paths.data("train", w.dataset)}

    def spec_laplace(self: "Jobs", w: Any) -> str:
        """The fit's parameters are `laplace`'s; the other predictives that read it have none of them."""
        laplace = self.study.methods.predictive("laplace")
        params = {name: laplace.params[name] for name in laplace.fit}
        return identity.spec(**self._spec_model(w), params=params, evals=self._evals(w), seed=int(w.seed))

    @property
    def fits(self: "Jobs") -> list[Adapter]:
        """The adapters whose posterior is fitted."""
        cells = [cell for cell in self.study.cells if cell.predictive != "point"]
        return list(dict.fromkeys(cell.adapter for cell in cells if self._works_on(cell.predictive) == "laplace"))
