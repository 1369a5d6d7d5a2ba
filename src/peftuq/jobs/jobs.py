"""Needs of each rule of the workflow: its input files and its identity, from a cell's wildcards.

Every method takes the rule's wildcards (anything with the named attributes). `spec_*` is all the configuration the
job sees: it is passed to the script and kept by Snakemake as the job's parameter.
"""

import hashlib
import shlex
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

from peftuq.cells import PREDICTION
from peftuq.config.study import PACKAGE, Adapter, Cell, Setting, Study
from peftuq.data.archives import select
from peftuq.jobs import identity
from peftuq.jobs.codes import Codes
from peftuq.jobs.predictives import PredictiveJobs, pattern
from peftuq.jobs.report import ReportJobs
from peftuq.paths import Paths

SCRIPTS = PACKAGE.parents[1] / "workflow" / "scripts"


def flag(name: str, files: Any) -> str:
    """The option `--<name> FILE` for an input or output that a job has; nothing for one that it has not."""
    given = dict(files.items()).get(name)
    return "" if given is None else f"--{name.replace('_', '-')} {shlex.quote(str(given))}"


class Jobs(PredictiveJobs, ReportJobs):
    def __init__(self, study: Study):
        self.study = study
        self.paths = Paths(study.config.results, study.config.reports)
        self.codes = Codes(self.paths)

    def code(self, script: str, *plugins: Path) -> str:
        return self.codes.digest(SCRIPTS / f"{script}.py", *plugins)

    def flags(self, *names: str) -> Callable[[Any, Any], str]:
        """A parameter: the options for those named inputs that a job has."""
        return lambda wildcards, input: " ".join(flag(name, input) for name in names)

    # -- fetching and preparing ------------------------------------------------------------------------

    def spec_fetch_model(self, w: Any) -> str:
        model = self.study.models.get(w.model, "model", "")
        kind = self.study.model_source(w.model)
        source = model.sources.offered[kind].model_dump()
        return identity.spec(name=w.model, kind=kind, source=source, gguf=model.gguf)

    @cached_property
    def sources(self) -> dict[str, tuple[str, dict]]:
        """Sources to fetch for datasets, by key: several datasets may come out of one archive or folder."""
        return dict(map(self._source, self.study.dataset_names))

    def _source(self, dataset: str) -> tuple[str, tuple[str, dict]]:
        """Source to fetch for a dataset, and its key. A local folder is one, too: no other machine has it."""
        wanted = self.study.preparation(dataset)
        source = self.study.dataset(dataset).sources.offered[wanted.source]
        if wanted.source == "local":
            patterns = sorted({wanted.files[name] for name in wanted.splits.used})
            fetched = {"folder": f"{self.study.config.local_root}/{source.folder}", "files": patterns}
        else:
            fetched = source.fetch.model_dump()
        digest = hashlib.sha256(identity.spec(kind=wanted.source, source=fetched).encode()).hexdigest()[:12]
        return f"{wanted.source}-{digest}", (wanted.source, fetched)

    def inputs_fetch_data(self, w: Any) -> list[str]:
        """The files of a local folder, which may change; what is published is pinned or fetched once."""
        kind, source = self.sources[w.source]
        if kind != "local":
            return []
        folder = Path(source["folder"]).expanduser()
        return [str(folder / name) for name in select(folder, source["files"])]

    def spec_fetch_data(self, w: Any) -> str:
        kind, source = self.sources[w.source]
        return identity.spec(kind=kind, source=source)

    def source(self, w: Any) -> str:
        return self.paths.source(self._source(w.dataset)[0])

    def source_files(self, w: Any) -> str:
        return self.paths.source_files(self._source(w.dataset)[0])

    def spec_prepare_data(self, w: Any) -> str:
        return identity.spec(**self.study.preparation(w.dataset).model_dump())

    # -- training --------------------------------------------------------------------------------------

    def _task(self, setting: Setting, evals: list[str]) -> dict[str, Any]:
        """A model's task; a choice task has as many options as the longest question of its evaluation sets."""
        model = self.study.models.get(setting.model, "model", "")
        dataset = self.study.dataset(setting.dataset)
        datasets = [dataset, *(self.study.dataset(part) for part in evals if part != "test")]
        recipe = self.study.recipes.get(setting.recipe, "recipe", "")
        return {
            "kind": dataset.kind,
            "classes": max((list(one.classes) for one in datasets), key=len),
            "max_length": min(model.max_length, recipe.max_length),
            "prompt": self.study.prompt(recipe.prompt) if dataset.kind == "choice" else None,
            "precision": self.study.precision(setting.recipe),
            "batch_tokens": self.study.config.eval_batch_tokens,
        }

    def inputs_train(self, w: Any) -> dict[str, Any]:
        return {
            "model": self.paths.model(w.model),
            "train": self.paths.data("train", w.dataset),
            "valid": self.paths.data("valid", w.dataset),
            "evals": [self._part_data(w.dataset, part) for part in self._recorded(w)],
        }

    def recipes_that(self, rule: str) -> str:
        """A pattern of the recipes that a training rule serves; one that matches nothing if there are none."""
        return pattern(s.recipe for s in self.study.settings if self.trained_by(s.recipe) == rule)

    def trained_by(self, recipe: str) -> str | None:
        found = self.study.recipes.get(recipe, "recipe", "")
        if found.adapter is None:
            return None
        if found.epoch_records is not None:
            return "train_ensemble_member"
        return self.study.methods.kind(found).rule

    def _kind_file(self, recipe: str) -> Path:
        return self.study.methods.kinds[self.study.methods.kind_of(self.study.recipes.get(recipe, "recipe", ""))]

    def adapter_kind(self, recipe: str) -> str:
        """The module that knows the recipe's kind of adapter."""
        return identity.module(self._kind_file(recipe))

    def code_adapter(self, script: str, *plugins: Path) -> Any:
        """Code of a script that runs a model, with that of the recipe's kind of adapter."""
        return lambda w: self.code(script, self._kind_file(w.recipe), *plugins)

    def _recorded(self, w: Any) -> list[str]:
        """The evaluation sets that training records after every epoch: none, unless its recipe asks for it."""
        records = self.study.recipes.get(w.recipe, "recipe", "").epoch_records is not None
        return self.study.evals(Setting(w.model, w.dataset, w.recipe)) if records else []

    def _part_data(self, dataset: str, part: str) -> str:
        """A part of a setting's records: a split of its own dataset, or the test split of a shift set."""
        own = part in ("train", "valid", "test")
        return self.paths.data(part if own else "test", dataset if own else part)

    def _adapter(self, w: Any) -> Adapter:
        return Adapter(w.model, w.dataset, w.recipe, int(w.seed))

    def gpus(self, w: Any) -> int:
        """GPUs that a training takes, one a process."""
        return self.study.recipes.get(w.recipe, "recipe", "").gpus

    def spec_train(self, w: Any) -> str:
        setting = Setting(w.model, w.dataset, w.recipe)
        # The precision stands in the task as it was resolved: what else named it decides nothing.
        recipe = self.study.recipes.get(w.recipe, "recipe", "").model_dump(exclude={"precision"})
        modules = self.study.models.get(w.model, "model", "").modules
        return identity.spec(
            task=self._task(setting, self._recorded(w)),
            adapter=self.adapter_kind(w.recipe),
            recipe=recipe,
            modules=modules,
            seed=int(w.seed),
            evals=self._recorded(w),
        )

    # -- records, samples, scores ------------------------------------------------------------------------

    def parts(self, adapter: Adapter) -> list[str]:
        """Sets that an adapter is run on: its training set only where something is fitted on it."""
        scores = self.study.cells.get(Cell(*adapter, "point"), [])
        fitted = any("train" in self.study.methods.score(score).needs for score in scores)
        train = ["train"] if fitted or adapter in self.study.gold else []
        return [*train, "valid", *self.study.evals(adapter.setting)]

    def inputs_extract(self, w: Any) -> dict[str, Any]:
        return self._inputs_model(w, self.parts(self._adapter(w)))

    def spec_extract(self, w: Any) -> str:
        return identity.spec(**self._spec_model(w), parts=self.parts(self._adapter(w)))

    def _cell(self, w: Any) -> Cell:
        return Cell(w.model, w.dataset, w.recipe, int(w.seed), w.predictive)

    def inputs_samples(self, w: Any) -> str:
        return self.paths.samples(*self._cell(w))

    def spec_score(self, w: Any) -> str:
        evals = self.study.evals(self._cell(w).setting)
        return identity.spec(**self._method(w.score), evals=evals, seed=int(w.seed))

    def scores_in(self, environment: str) -> str:
        """A pattern of the scores that are computed in an environment."""
        methods = self.study.methods
        return pattern(name for name in methods.scores if methods.score(name).environment == environment)

    def code_score(self, w: Any) -> str:
        return self.code("score", self.study.methods.scores[w.score])

    # -- ensembles through their training ----------------------------------------------------------------

    @cached_property
    def traces(self) -> dict[Setting, list[int]]:
        """Settings whose ensembles are followed through training, and the sizes that are asked for, with 1."""
        sizes: dict[Setting, set[int]] = {}
        for cell in self.study.cells:
            name, size = self.study.predictive(cell.predictive)
            if name == "ensemble" and self.trained_by(cell.recipe) == "train_ensemble_member":
                sizes.setdefault(cell.setting, {1}).add(size or 1)
        return {setting: sorted(found) for setting, found in sizes.items()}

    def inputs_trace(self, w: Any) -> list[str]:
        setting = Setting(w.model, w.dataset, w.recipe)
        return [self.paths.epochs(*setting, seed) for seed in range(max(self.traces[setting]))]

    def spec_trace(self, w: Any) -> str:
        sizes = self.traces[Setting(w.model, w.dataset, w.recipe)]
        # The histograms show five members, as the paper's do, or as many as there are.
        return identity.spec(sizes=sizes, shown=5 if 5 in sizes else max(sizes))

    # -- the exact posterior ----------------------------------------------------------------------------

    def gold(self) -> list[str]:
        return [self.paths.gold(*adapter) for adapter in self.study.gold]

    def spec_gold(self, w: Any) -> str:
        adapter = self._adapter(w)
        chosen = self.study.gold[adapter].model_dump(exclude={"model", "dataset", "recipe"})
        return identity.spec(**chosen, evals=self.study.evals(adapter.setting))

    # -- evaluation --------------------------------------------------------------------------------------

    def inputs_evaluate(self, w: Any) -> dict[str, str]:
        samples = self.paths.samples(*self._cell(w))
        if w.score == PREDICTION:
            return {"samples": samples}
        return {"samples": samples, "scores": self.paths.scores(*self._cell(w), w.score)}

    def spec_evaluate(self, w: Any) -> str:
        cell = self._cell(w)
        probabilities = [] if w.score == PREDICTION else self.study.methods.score(w.score).probabilities
        evals = self.study.evals(cell.setting)
        return identity.spec(**cell._asdict(), score=w.score, evals=evals, probabilities=probabilities)

    def metrics(self) -> list[str]:
        """Every metrics file of the run."""
        return [
            self.paths.metrics(*cell, score)
            for cell, scores in self.study.cells.items()
            for score in (PREDICTION, *scores)
        ]

    def spec_compare(self, w: Any) -> str:
        cells = self.study.cells_of(Setting(w.model, w.dataset, w.recipe))
        return identity.spec(
            cells=[[list(cell), scores] for cell, scores in cells.items()],
            evals=self.study.evals(Setting(w.model, w.dataset, w.recipe)),
            resamples=self.study.config.bootstrap,
        )

    def inputs_compare(self, w: Any) -> list[str]:
        cells = self.study.cells_of(Setting(w.model, w.dataset, w.recipe))
        return [self.paths.scores(*cell, score) for cell, scores in cells.items() for score in scores]
