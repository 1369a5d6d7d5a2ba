"""What the rules that make predictive distributions need: from records, from the model, or from its posterior."""

import re
from typing import TYPE_CHECKING, Any

from peftuq.grid import identity

if TYPE_CHECKING:
    from peftuq.grid.jobs import Jobs

RULES = {"records": "predict", "epochs": "predict", "laplace": "predict", "adapter": "sample"}  # by what they work on


class PredictiveJobs:
    """The part of `Jobs` that belongs to predictive distributions."""

    def made_by(self: "Jobs", predictive: str) -> str | None:
        """The rule that makes a predictive's samples; `point` is an adapter's records themselves."""
        name, _ = self.study.predictive(predictive)
        return None if name == "point" else RULES[self.study.method(name)["of"]]

    def predictives_that(self: "Jobs", rule: str) -> str:
        """A pattern of the predictives that a rule makes; one that matches nothing if there are none."""
        made = sorted({cell.predictive for cell in self.study.cells if self.made_by(cell.predictive) == rule})
        return "|".join(map(re.escape, made)) or "(?!)"

    def _evals(self: "Jobs", w: Any) -> list[str]:
        return ["valid", *self.study.evals(self._adapter(w).setting)]  # valid calibrates conformal sets

    def _method_spec(self: "Jobs", w: Any) -> dict[str, Any]:
        name, size = self.study.predictive(w.predictive)
        method = self.study.method(name)
        chosen = {key: method[key] for key in ("version", "params", "of")}
        return {"method": name, **chosen, "size": size, "evals": self._evals(w), "seed": int(w.seed)}

    # -- from files, no model ------------------------------------------------------------------------------

    def inputs_pool(self: "Jobs", w: Any) -> list[str]:
        """What a post-hoc predictive works on: the files of all its members or of its adapter."""
        cell = self._cell(w)
        of = self.study.method(self.study.predictive(w.predictive)[0])["of"]
        path = {"records": self.paths.records, "epochs": self.paths.epochs, "laplace": self.paths.laplace}[of]
        return [path(*cell.setting, seed) for seed in self.study.members(cell)]

    def spec_pool(self: "Jobs", w: Any) -> str:
        return identity.spec(**self._method_spec(w))

    def code_pool(self: "Jobs", w: Any) -> str:
        return self.code("predict", self.study.predictive_files[self.study.predictive(w.predictive)[0]])

    # -- from the model ------------------------------------------------------------------------------------

    def _inputs_model(self: "Jobs", w: Any) -> dict[str, Any]:
        inputs: dict[str, Any] = {
            "model": self.paths.model(w.model),
            "data": [self._part_data(w.dataset, part) for part in self._evals(w)],
        }
        if self.study.recipes.get(w.recipe, "recipe", "").adapter is not None:
            inputs["adapter"] = self.paths.adapter(w.model, w.dataset, w.recipe, w.seed)
        return inputs

    def _spec_model(self: "Jobs", w: Any) -> dict[str, Any]:
        setting = self._adapter(w).setting
        return {"task": self._task(setting, self.study.evals(setting)), "adapter": self.adapter_kind(w.recipe)}

    def inputs_sample(self: "Jobs", w: Any) -> dict[str, Any]:
        return self._inputs_model(w)

    def spec_sample(self: "Jobs", w: Any) -> str:
        return identity.spec(**self._spec_model(w), **self._method_spec(w))

    def code_sample(self: "Jobs", w: Any) -> str:
        plugin = self.study.predictive_files[self.study.predictive(w.predictive)[0]]
        return self.code_adapter("sample", plugin)(w)

    def inputs_laplace(self: "Jobs", w: Any) -> dict[str, Any]:
        return {**self._inputs_model(w), "train": self.paths.data("train", w.dataset)}

    def spec_laplace(self: "Jobs", w: Any) -> str:
        """The fit's parameters are `laplace`'s; the other predictives that read it have none of them."""
        laplace = self.study.method("laplace")
        params = {name: laplace["params"][name] for name in laplace["fit"]}
        return identity.spec(**self._spec_model(w), params=params, evals=self._evals(w), seed=int(w.seed))

    @property
    def fits(self: "Jobs") -> list[tuple]:
        """The adapters whose posterior is fitted."""
        found = {
            cell.adapter: None
            for cell in self.study.cells
            if cell.predictive != "point" and self._works_on(cell.predictive) == "laplace"
        }
        return list(found)

    def _works_on(self: "Jobs", predictive: str) -> str:
        return self.study.method(self.study.predictive(predictive)[0])["of"]
