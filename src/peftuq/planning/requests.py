"""The distinct GPU jobs of a configuration: those that differ in what shapes them, at the largest input they may meet.

No torch here: planning starts in a moment.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from peftuq.config.study import Adapter, Cell
from peftuq.jobs import identity
from peftuq.jobs.jobs import Jobs
from peftuq.planning.rows import rows

Spec = dict[str, Any]
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
    def name(self) -> str:
        return f"{self.rule} {self.model}/{self.dataset}/{self.recipe}"

    @property
    def size(self) -> tuple[int, int]:
        """Sorts jobs of one kind by what they demand: classes, and for AdUE the rows its heads are fitted on."""
        return self.spec.get("rows", {}).get("train", 0), len(self.spec["task"]["classes"])

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


def _all(jobs: Jobs) -> Iterator[Request]:
    made: dict[tuple, Request] = {}
    for rule, of in gpu_jobs(jobs):
        key = (rule, of.setting, getattr(of, "predictive", None) if rule == "sample" else None)
        if key not in made:
            made[key] = request(jobs, rule, of)
        yield made[key]


def gpu_jobs(jobs: Jobs) -> Iterator[tuple[str, Adapter | Cell]]:
    """Every job that the cluster's profile sends to a GPU."""
    for adapter in jobs.study.adapters:
        rule = jobs.trained_by(adapter.recipe)
        if rule is not None:
            yield rule, adapter
        yield "extract", adapter
    yield from (("fit_laplace", adapter) for adapter in jobs.fits)
    for cell, scores in jobs.study.cells.items():
        if jobs.made_by(cell.predictive) == "sample":
            yield "sample", cell
        if "adue" in scores:
            yield "fit_adue", cell


def request(jobs: Jobs, rule: str, of: Adapter | Cell) -> Request:
    """The rehearsal of a job of `rule` for an adapter or cell."""
    program = "train" if rule.startswith("train_") else rule
    model, setting = jobs.study.models.get(of.model, "model", ""), of.setting
    spec = {"train": _trained, "fit_adue": _heads}.get(program, _asked)(jobs, program, of)
    return Request(rule, program, of.model, setting.recipe, setting.dataset, spec, model.config)


def _trained(jobs: Jobs, program: str, of: Adapter) -> Spec:
    spec = json.loads(jobs.spec_train(of))
    recipe = {**_model(spec["recipe"]), **_training(spec["recipe"])}
    return {"task": _task(spec["task"]), "adapter": spec["adapter"], "modules": spec["modules"], "recipe": recipe}


def _asked(jobs: Jobs, program: str, of: Adapter | Cell) -> Spec:
    specs = {"extract": jobs.spec_extract, "sample": jobs.spec_sample, "fit_laplace": jobs.spec_laplace}
    spec = json.loads(specs[program](of))
    recipe = jobs.study.recipes.get(of.recipe, "recipe", "").model_dump()
    modules = jobs.study.models.get(of.model, "model", "").modules
    base = {"task": _task(spec["task"]), "adapter": spec["adapter"], "modules": modules, "recipe": _model(recipe)}
    return base | {name: spec[name] for name in ("method", "module", "params") if name in spec}


def _heads(jobs: Jobs, program: str, of: Cell) -> Spec:
    task = json.loads(jobs.spec_extract(SimpleNamespace(**of.adapter._asdict())))["task"]
    parts = rows(jobs.study, of.dataset)
    params = jobs.study.methods.score("adue").params
    fitted = {"train": parts[params["train_on"]], "valid": parts["valid"]}
    return {"task": {**_task(task), "precision": "fp32"}, "params": params, "rows": fitted}


def _task(task: Spec) -> Spec:
    """How many classes there are, not what they are called; a prompt that shows its options."""
    return {**task, "classes": list(map(str, range(len(task["classes"])))), "prompt": task["prompt"] and PROMPT}


def _model(recipe: Spec) -> Spec:
    """The part of a recipe that decides inference: its adapter, whatever its scale and rate of dropout."""
    adapter = recipe["adapter"]
    if adapter is not None:
        adapter = {**adapter, "alpha": 1, "dropout": 0.1 if adapter["dropout"] else 0}
    loss = {"answer": "vocabulary", "balance": None, "calibration": None}
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
    return {
        "optimiser": {**STEADY, "batch_size": optimiser["batch_size"], "clip": clip},
        "loss": {**loss, "balance": balance, "calibration": calibration},
        "prior": None if prior is None else {**prior, "half_lambda": 1},
        "checkpoint_steps": 10**9,
        **{name: recipe[name] for name in ("micro_batch_tokens", "gradient_checkpointing", "spectral_norm")},
    }
