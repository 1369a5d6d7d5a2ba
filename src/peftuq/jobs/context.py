"""The ground of all rules' needs: the study, where its files lie, the code of scripts, and parts of specs."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from peftuq.cells import Adapter, Cell, Setting
from peftuq.config.recipe import Recipe
from peftuq.config.study import PACKAGE, PARTS, Study
from peftuq.jobs import identity
from peftuq.jobs.codes import Codes
from peftuq.jobs.identities import Identities
from peftuq.paths import Paths

SCRIPTS = PACKAGE.parents[1] / "workflow" / "scripts"


class Context:
    """One for all rules of a workflow. Wildcards `w` are anything with the attributes that a rule's output names."""

    def __init__(self, study: Study):
        self.study = study
        self.paths = Paths(study.config.results, study.config.reports)
        self.codes = Codes(self.paths)
        self.identities = Identities(self.paths)

    def code(self, script: str, plugins: Iterable[Path]) -> str:
        return self.codes.digest(SCRIPTS / f"{script}.py", *plugins)

    # -- keys ----------------------------------------------------------------------------------------------

    def setting(self, w: Any) -> Setting:
        return Setting(w.model, w.dataset, w.recipe)

    def adapter(self, w: Any) -> Adapter:
        return Adapter(w.model, w.dataset, w.recipe, int(w.seed))

    def cell(self, w: Any) -> Cell:
        return Cell(w.model, w.dataset, w.recipe, int(w.seed), w.predictive)

    # -- adapters ------------------------------------------------------------------------------------------

    def recipe(self, name: str) -> Recipe:
        found: Recipe = self.study.recipes.get(name, "recipe", "")
        return found

    def kind_file(self, recipe: str) -> Path:
        """The file of the recipe's kind of adapter."""
        return self.study.methods.kinds[self.study.methods.kind_of(self.recipe(recipe))]

    def kind_module(self, recipe: str) -> str:
        return identity.module(self.kind_file(recipe))

    def task(self, setting: Setting, evals: list[str]) -> dict[str, Any]:
        """A model's task; a choice task has as many options as the longest question of its evaluation sets."""
        model = self.study.models.get(setting.model, "model", "")
        dataset, recipe = self.study.dataset(setting.dataset), self.recipe(setting.recipe)
        datasets = [dataset, *(self.study.dataset(part) for part in evals if part != "test")]
        prompt = self.study.template(self.study.prompt_for(setting.recipe, setting.dataset))
        return {
            "kind": dataset.kind,
            "classes": max((list(one.classes) for one in datasets), key=len),
            "max_length": min(model.max_length, recipe.max_length),
            "prompt": prompt if dataset.kind == "choice" else None,
            "precision": self.study.precision(setting.recipe),
            "batch_tokens": self.study.config.eval_batch_tokens,
        }

    # -- data ----------------------------------------------------------------------------------------------

    def valid_and_evals(self, setting: Setting) -> list[str]:
        """Parts that a predictive is computed on: the evaluation sets, and valid, which calibrates conformal sets."""
        return ["valid", *self.study.evals(setting)]

    def data(self, dataset: str, parts: list[str]) -> list[str]:
        """Files of a setting's parts: splits of its own dataset, and the test splits of shift sets."""
        return [self.paths.data(p if p in PARTS else "test", dataset if p in PARTS else p) for p in parts]

    # -- plug-ins ------------------------------------------------------------------------------------------

    def method(self, name: str) -> dict[str, Any]:
        """Spec of a score or predictive, whatever it is applied to."""
        methods = self.study.methods
        method = methods.score(name) if name in methods.scores else methods.predictive(name)
        return {
            "method": name,
            "module": identity.module(methods.files[name]),
            "version": method.version,
            "params": method.params,
            "reads": method.reads,
        }
