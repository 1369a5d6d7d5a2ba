"""The workflow's scripts on the grid, run in this process with what their rules give them; each output is made once."""

import contextlib
import runpy
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from furniture import CONFIG
from grid import POSTERIOR, Model

from peftuq.adapters.adapted import Adapted
from peftuq.config.study import Study
from peftuq.jobs.context import SCRIPTS
from peftuq.jobs.jobs import Jobs
from peftuq.models.readout import ReadOut
from peftuq.progress import Log
from peftuq.specs.adapted import Extract
from peftuq.training import assemble, loop
from peftuq.training.step import Step

SHARED = ("models", "sources", "data")  # below results: what no precision has a part in
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")  # what a script sets for its process


MADE = {"extract": "records", "predict_with_model": "samples", "fit_laplace": "gaussians"}  # a script's main output


def run(script: str, spec: str, **arguments: str | list[str]) -> None:
    """Run a script of the workflow in this process, and leave the process as it was."""
    argv = [f"{script}.py", "--spec", spec]
    for name, value in arguments.items():
        argv += [f"--{name.replace('_', '-')}", *([value] if isinstance(value, str) else value)]
    threads = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", argv)
        for variable in THREADS:
            patch.setenv(variable, "1")
        try:
            runpy.run_path(str(SCRIPTS / f"{script}.py"))
        except SystemExit as ended:
            raise AssertionError(f"{' '.join(argv)}: exit {ended.code}") from ended
        finally:
            torch.set_num_threads(threads)


@dataclass
class Trained:
    """State of a training in memory when it has written its files."""

    model: ReadOut | None = None
    step: Step | None = None


@contextlib.contextmanager
def remembered() -> Iterator[Trained]:
    """Keep what the training that runs inside the block works on."""
    kept, assembled, stepping = Trained(), assemble.assemble, loop.Step

    def keep_model(*arguments: Any) -> ReadOut:
        kept.model = assembled(*arguments)
        return kept.model

    def keep_step(*arguments: Any) -> Step:
        kept.step = stepping(*arguments)
        return kept.step

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(assemble, "assemble", keep_model)
        patch.setattr(loop, "Step", keep_step)
        yield kept


class Run:
    """A run of the workflow in one precision, whose results lie in a folder of their own.

    `adapters_of`: another run, whose adapters are asked here; without it this run trains its own.
    """

    def __init__(self, folder: Path, precision: str, adapters_of: "Run | None" = None, results: Path | None = None):
        self.folder, self.precision, self.adapters_of = folder, precision, adapters_of
        self.trained: dict[Model, Trained] = {}
        results = results or folder / (f"{adapters_of.precision}_in_{precision}" if adapters_of else precision)
        config = {**CONFIG, "local_root": str(folder / "material"), "results": str(results), "precision": precision}
        self.jobs = Jobs(Study(config, folder / "config"))
        self.paths = self.jobs.paths
        results.mkdir(parents=True)
        for name in SHARED:
            (folder / "shared" / name).mkdir(parents=True, exist_ok=True)
            (results / name).symlink_to(folder / "shared" / name)
        if adapters_of:
            (results / "adapters").symlink_to(Path(adapters_of.paths.results) / "adapters")

    def make(self, program: str, model: Model) -> Path:
        """The main output of a program for a model; what it reads is made before."""
        w = self.wildcards(model, program)
        if program == "train":
            return self._train(model, w)
        if program in ("extract", "gold_features"):  # the reference posterior's inputs are components of records
            spec, inputs = self.jobs.extract.spec(w), self.jobs.extract.inputs(w)
            return self._ask("extract", self._path("records", w), spec, inputs, model)
        if program == "fit_laplace":
            spec, inputs = self.jobs.fit_laplace.spec(w), self.jobs.fit_laplace.inputs(w)
            return self._ask(program, self._path("laplace", w), spec, inputs, model)
        output = self._path("samples", w)
        if program in POSTERIOR:
            fitted = self.make("fit_laplace", model)
            if not output.exists():
                run(
                    "predict_from_records",
                    self.jobs.predict_from_records.spec(w),
                    inputs=[str(fitted)],
                    samples=str(output),
                    facts=self.paths.facts(str(output)),
                )
            return output
        rule = self.jobs.predict_with_model
        return self._ask("predict_with_model", output, rule.spec(w), rule.inputs(w), model)

    def _path(self, of: str, w: Any) -> Path:
        names = (w.model, w.dataset, w.recipe, w.seed)
        return Path(getattr(self.paths, of)(*names, *([w.predictive] if of == "samples" else [])))

    def _ask(self, script: str, output: Path, spec: str, inputs: dict[str, Any], model: Model) -> Path:
        """Run a script that asks a model about data; one that is untuned has no adapter."""
        if model.adapter != "untuned":
            self.make("train", model)
        if not output.exists():
            self._prepare(inputs)
            made = {MADE[script]: str(output), "facts": self.paths.facts(str(output))}
            run(script, spec, **made, **inputs)
        return output

    def _train(self, model: Model, w: Any) -> Path:
        output = self._path("adapter", w)
        if self.adapters_of:
            return self.adapters_of.make("train", model)
        if not output.exists():
            inputs = self.jobs.train.inputs(w)
            self._prepare(inputs)
            kinds = {"weights": "adapter", "config": "adapter_config", "facts": "training", "history": "training_log"}
            if self.jobs.train.rule_of(model.recipe) == "train_ensemble_member":
                kinds["epochs"] = "epochs"
            made = {name: str(self._path(kind, w)) for name, kind in {**kinds, "checkpoint": "checkpoint"}.items()}
            with remembered() as self.trained[model]:
                run("train", self.jobs.train.spec(w), **made, **inputs)
        return output

    def _prepare(self, inputs: dict[str, Any]) -> None:
        """Fetch the model and prepare the data that a program reads, as the rules do."""
        provenance = Path(inputs["model"])
        if not provenance.exists():
            w = SimpleNamespace(model=provenance.parent.name)
            made = {"provenance": self.paths.model(w.model), "files": self.paths.model_files(w.model)}
            run("fetch_model", self.jobs.fetch_model.spec(w), downloads="none", **made)
        for data in (inputs[name] for name in ("train", "data") if name in inputs):
            dataset = Path(data if isinstance(data, str) else data[0]).parent.name
            self._prepare_dataset(SimpleNamespace(dataset=dataset))

    def _prepare_dataset(self, w: Any) -> None:
        splits = {split: self.paths.data(split, w.dataset) for split in ("train", "valid", "test")}
        if not Path(splits["train"]).exists():
            source = Path(self.jobs.prepare_data.source(w))
            if not source.exists():
                fetched = SimpleNamespace(source=source.parent.name)
                made = {"provenance": str(source), "files": self.jobs.prepare_data.files(w)}
                run("fetch_data", self.jobs.fetch_data.spec(fetched), downloads="none", **made)
            run("prepare_data", self.jobs.prepare_data.spec(w), source=str(source), **splits)

    def wildcards(self, model: Model, predictive: str = "point") -> Any:
        found = {"model": model.architecture, "dataset": model.dataset, "recipe": model.recipe, "seed": "0"}
        return SimpleNamespace(**found, predictive=predictive)

    def load(self, model: Model) -> Adapted:
        """Model that the programs that run an adapter load."""
        w = self.wildcards(model)
        spec, inputs = Extract.model_validate_json(self.jobs.extract.spec(w)), self.jobs.extract.inputs(w)
        return Adapted.load(spec, inputs["model"], inputs.get("adapter"), Log(None, "test"))
