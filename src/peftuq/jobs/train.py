"""Needs of the rules of train.smk: adapters, and their records."""

from pathlib import Path
from typing import Any

from peftuq.cells import Adapter, Cell
from peftuq.jobs import identity
from peftuq.jobs.rule import ModelRule, Rule, pattern


class Train(Rule):
    """`train_lora`, `train_ensemble_member` and `train_mixlora`: one script for every kind of adapter."""

    script = "train"

    def rule_of(self, recipe: str) -> str | None:
        """The rule that trains a recipe's adapters; None where nothing is trained."""
        found = self._context.recipe(recipe)
        if found.adapter is None:
            return None
        if found.epoch_records is not None:
            return "train_ensemble_member"
        return self._study.methods.kind(found).rule

    def recipes(self, rule: str) -> str:
        """A pattern of the recipes that a training rule serves."""
        return pattern(s.recipe for s in self._study.settings if self.rule_of(s.recipe) == rule)

    def gpus(self, w: Any) -> int:
        """GPUs that a training takes, one a process."""
        return self._context.recipe(w.recipe).gpus

    def _recorded(self, w: Any) -> list[str]:
        """The evaluation sets that training records after every epoch: none without `epoch_records` in its recipe."""
        records = self._context.recipe(w.recipe).epoch_records is not None
        return self._study.evals(self._context.setting(w)) if records else []

    def inputs(self, w: Any) -> dict[str, Any]:
        return {
            "model": self._paths.model(w.model),
            "train": self._paths.data("train", w.dataset),
            "valid": self._paths.data("valid", w.dataset),
            "evals": self._context.data(w.dataset, self._recorded(w)),
        }

    def spec(self, w: Any) -> str:
        # The precision stands in the task as it was resolved: what else named it decides nothing.
        recipe = self._context.recipe(w.recipe).model_dump(exclude={"precision"})
        return identity.spec(
            task=self._context.task(self._context.setting(w), self._recorded(w)),
            adapter=self._context.kind_module(w.recipe),
            recipe=recipe,
            modules=self._study.models.get(w.model, "model", "").modules,
            seed=int(w.seed),
            evals=self._recorded(w),
        )

    def plugins(self, w: Any) -> list[Path]:
        return [self._context.kind_file(w.recipe)]


class Extract(ModelRule):
    script = "extract"

    def parts(self, adapter: Adapter) -> list[str]:
        """Sets that an adapter is run on: its training set only where something is fitted on it."""
        train = ["train"] if self._fitted_on(adapter) or adapter in self._study.gold else []
        return [*train, *self._context.valid_and_evals(adapter.setting)]

    def _fitted_on(self, adapter: Adapter) -> bool:
        """Whether a score of the adapter itself, or a predictive made of its records, is fitted on its training set."""
        study, methods = self._study, self._study.methods
        scores = study.cells.get(Cell(*adapter, "point"), [])
        own = {cell.predictive for cell in study.cells_of(adapter.setting) if adapter.seed in study.members(cell)}
        predictives = [methods.predictive(study.predictive(key)[0]) for key in own - {"point"}]
        return any("train" in methods.score(score).needs for score in scores) or any(
            found.reads == "records" and "train" in found.needs for found in predictives
        )

    def inputs(self, w: Any) -> dict[str, Any]:
        return self._model_inputs(w, self.parts(self._context.adapter(w)))

    def spec(self, w: Any) -> str:
        return identity.spec(**self._model_spec(w), parts=self.parts(self._context.adapter(w)))
