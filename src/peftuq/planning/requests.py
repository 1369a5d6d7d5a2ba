"""The distinct GPU jobs of a configuration: those that differ in what shapes them, at the largest input they may meet.

No torch here: planning starts in a moment.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from peftuq import integrity
from peftuq.cells import Adapter, Cell, Setting
from peftuq.config.study import PACKAGE
from peftuq.files import read_json, write_json
from peftuq.integrity import Made, embed, of_inputs
from peftuq.jobs import identity
from peftuq.jobs.jobs import Jobs
from peftuq.jobs.posthoc import FitScores
from peftuq.planning.rows import rows

Spec = dict[str, Any]
GPU_SCORES = FitScores.RULES["torch"]  # the rule of scores that compute with torch


class ScoredCell(NamedTuple):
    """A cell and a score of it."""

    model: str
    dataset: str
    recipe: str
    seed: int
    predictive: str
    score: str

    @property
    def setting(self) -> Setting:
        return Setting(self.model, self.dataset, self.recipe)


Work = Adapter | Cell | ScoredCell  # what a job is for; has the attributes that rules take as wildcards
# In place of a job's own: neither shapes what it computes.
STEADY = {"lr": 1e-4, "weight_decay": 0, "epochs": 1, "schedule": "constant", "warmup": 0}
PROMPT = {
    "version": 1, "title": "any", "prompt": "{question}{options}", "option": "{text}", "labels": ["A", "B"],
    "answers": ["{label}"],
}  # fmt: skip


@dataclass(frozen=True)
class Request:
    """A GPU job to rehearse. `program` of `rehearsal.programs`; `spec` and `config`: what decides how it runs.

    `rule`, `model`, `recipe` and `dataset` name the most demanding of the `jobs` that it stands for.
    """

    rule: str
    program: str
    model: str
    recipe: str
    dataset: str
    spec: Spec
    config: dict[str, Any]
    jobs: int = 1

    @property
    def identity(self) -> str:
        """Canonical JSON of what decides how the job runs."""
        return identity.spec(program=self.program, spec=self.spec, config=self.config)

    @property
    def setting(self) -> Setting:
        return Setting(self.model, self.dataset, self.recipe)

    @property
    def name(self) -> str:
        return f"{self.rule} {self.model}/{self.dataset}/{self.recipe}"

    @property
    def size(self) -> tuple[int, int]:
        """Sorts jobs of one kind by what they demand: the rows that a score is fitted on, and classes."""
        return sum(self.spec.get("rows", {}).values()), len(self.spec["task"]["classes"])

    @property
    def plugins(self) -> list[Path]:
        """Files that the job, or its rehearsal, imports by a name from the spec: the score's, else any."""
        if self.program == "fit_score":
            return [PACKAGE.parent.joinpath(*self.spec["module"].split(".")).with_suffix(".py")]
        return plugins("adapters", "predictives")

    @property
    def kind(self) -> str:
        """The common part of jobs of which only the most demanding is rehearsed."""
        spec = {**self.spec, "rows": None, "task": {**self.spec["task"], "classes": None}}
        return identity.spec(rule=self.rule, program=self.program, spec=spec, config=self.config)


def requests(jobs: Jobs) -> dict[str, Request]:
    """Every kind of GPU job of a study once, at its most demanding."""
    found: dict[str, Request] = {}
    for request in _all(jobs):
        known = found.get(request.kind)
        counted = request.jobs + (known.jobs if known else 0)
        largest = request if known is None or request.size > known.size else known
        found[request.kind] = Request(**{**vars(largest), "jobs": counted})
    return found


def write(jobs: Jobs, path: str, log: str) -> None:
    """All requests of a study, for a job that has no study."""
    found = _listed(jobs)
    write_json(path, found)
    made = Made(integrity.digest(identity.spec(**found)), integrity.digest(), of_inputs([]))
    embed(path, integrity.Identity(integrity.relative(path, jobs.paths.results), made))
    Path(log).write_text(f"{len(found)} kinds of GPU jobs\n")


def read(path: str) -> dict[str, Request]:
    """Raises `UserError` if the file is damaged."""
    integrity.check(path)
    return {kind: Request(**request) for kind, request in read_json(path).items()}


def digest(jobs: Jobs) -> str:
    return hashlib.sha256(identity.spec(**_listed(jobs)).encode()).hexdigest()[:16]


def _listed(jobs: Jobs) -> dict[str, dict[str, Any]]:
    return {kind: vars(request) for kind, request in requests(jobs).items()}


@cache
def plugins(*packages: str) -> list[Path]:
    """Every file of some packages: a rehearsal may import any by a name from a spec."""
    return sorted(file for package in packages for file in (PACKAGE / package).rglob("*.py"))


def _all(jobs: Jobs) -> Iterator[Request]:
    made: dict[tuple, Request] = {}
    for rule, of in gpu_jobs(jobs):
        key = (rule, of.setting, *of[len(Adapter._fields) :])  # a seed changes nothing
        if key not in made:
            made[key] = request(jobs, rule, of)
        yield made[key]


def gpu_jobs(jobs: Jobs) -> Iterator[tuple[str, Work]]:
    """Every job that the cluster's profile sends to a GPU."""
    for adapter in jobs.study.adapters:
        rule = jobs.train.rule_of(adapter.recipe)
        if rule is not None:
            yield rule, adapter
        yield "extract", adapter
    yield from (("fit_laplace", adapter) for adapter in jobs.fit_laplace.adapters)
    for cell, scores in jobs.study.cells.items():
        if jobs.predictives.rule_of(cell.predictive) == "predict_with_model":
            yield "predict_with_model", cell
        for score in scores:
            if jobs.fit_scores.rule_of(score) == GPU_SCORES:
                yield GPU_SCORES, ScoredCell(*cell, score)


def program_of(rule: str) -> str:
    """The program of `rehearsal.programs` for the jobs of a rule."""
    if rule.startswith("train_"):
        return "train"
    return "fit_score" if rule == GPU_SCORES else rule


def request(jobs: Jobs, rule: str, of: Work) -> Request:
    """The rehearsal of a job of `rule`."""
    program = program_of(rule)
    model, setting = jobs.study.models.get(of.model, "model", ""), of.setting
    spec = {"train": _trained, "fit_score": _scored}.get(program, _inference)(jobs, program, of)
    return Request(rule, program, of.model, setting.recipe, setting.dataset, spec, model.config)


def _trained(jobs: Jobs, program: str, of: Adapter) -> Spec:
    spec = json.loads(jobs.train.spec(of))
    recipe = {**_model(spec["recipe"]), **_training(spec["recipe"])}
    return {"task": _task(spec["task"]), "adapter": spec["adapter"], "modules": spec["modules"], "recipe": recipe}


def _inference(jobs: Jobs, program: str, of: Adapter | Cell) -> Spec:
    spec = json.loads(getattr(jobs, program).spec(of))
    recipe = jobs.study.recipes.get(of.recipe, "recipe", "").model_dump()
    modules = jobs.study.models.get(of.model, "model", "").modules
    base = {"task": _task(spec["task"]), "adapter": spec["adapter"], "modules": modules, "recipe": _model(recipe)}
    return base | {name: spec[name] for name in ("method", "module", "params") if name in spec}


def _scored(jobs: Jobs, program: str, of: ScoredCell) -> Spec:
    spec, task = json.loads(jobs.fit_scores.spec(of)), json.loads(jobs.extract.spec(of))["task"]
    counted = rows(jobs.study, of.dataset)
    fitted = {part: counted[part] for part in ("train", "valid")}
    named = {name: spec[name] for name in ("method", "module", "params")}
    return {"task": {**_task(task), "precision": "fp32"}, **named, "rows": fitted}


def _task(task: Spec) -> Spec:
    """How many classes there are, not what they are called; a prompt that shows its options."""
    return {**task, "classes": list(map(str, range(len(task["classes"])))), "prompt": task["prompt"] and PROMPT}


def _model(recipe: Spec) -> Spec:
    """The part of a recipe that decides inference: its adapter, whatever its scale and rate of dropout."""
    adapter = recipe["adapter"]
    if adapter is not None:
        sizes = {"alpha": 1, "dropout": 0.1 if adapter["dropout"] else 0} if "rank" in adapter else {}
        adapter = {**adapter, **sizes}
    over = "options" if adapter is not None and "lm_head" in adapter["targets"] else "vocabulary"  # as lm_head demands
    loss = {"answer": over, "balance": None, "calibration": None}
    optimiser = None if adapter is None else {**STEADY, "batch_size": 1}
    steady = {"version": 1, "gradient_checkpointing": False, "spectral_norm": "none"}
    return {**steady, "adapter": adapter, "optimiser": optimiser, "loss": loss}


def _training(recipe: Spec) -> Spec:
    """The part of a recipe that decides what training computes; weights of losses do not, unless they are 0."""
    optimiser, prior, loss = recipe["optimiser"], recipe["prior"], recipe["loss"]
    balance, calibration = loss["balance"], loss["calibration"]
    if balance is not None:
        balance = {**balance, "weight": 1, "coefficient": 1}
    if calibration is not None:
        calibration = {**calibration, "weight": 1, "schedule": "constant"} if calibration["weight"] else None
    clip = None if optimiser["clip"] is None else 1
    answer = {name: 0.5 for name in ("label_smoothing", "focal") if name in loss}
    return {
        "optimiser": {**STEADY, "batch_size": optimiser["batch_size"], "clip": clip},
        "loss": {**loss, **answer, "balance": balance, "calibration": calibration},
        "prior": None if prior is None else {**prior, "half_lambda": 1},
        "checkpoint_steps": 10**9,
        **{name: recipe[name] for name in ("micro_batch_tokens", "gradient_checkpointing", "spectral_norm")},
    }
