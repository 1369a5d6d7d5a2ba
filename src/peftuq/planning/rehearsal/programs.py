"""The jobs of a GPU, each through the code that its script runs, on models and batches of true size without data.

A program takes a request's `spec` (`Rehearsed` or `RehearsedScore`), the model's `config` (its transformers
configuration as a mapping) and the machine to run on, and returns the work of its measured part.
"""

import json
import os
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from types import SimpleNamespace
from typing import Any, Protocol
from unittest import mock

import numpy as np
import torch
from torch import Tensor, nn
from transformers import AutoConfig, PreTrainedModel

from peftuq import plugins
from peftuq.adapters.adapted import Adapted
from peftuq.adapters.mixlora import experts
from peftuq.adapters.protocol import AdapterModule, terms
from peftuq.artifacts import Head, Record, RecordFile
from peftuq.models import backbone
from peftuq.models.batching import Encoded
from peftuq.models.readout import ReadOut, head_layers
from peftuq.planning.rehearsal.batches import Shape, longest
from peftuq.planning.rehearsal.specs import Rehearsed, RehearsedScore
from peftuq.planning.rehearsal.work import Work
from peftuq.predictives.laplace import fit, kfac
from peftuq.predictives.protocol import ModelPredictive
from peftuq.progress import Log
from peftuq.specs.adapted import LaplaceParameters
from peftuq.specs.task import Task
from peftuq.training import loop
from peftuq.training.assemble import assemble

Spec = dict[str, Any]


class Machine(Protocol):
    """Where a program runs: the fake device, or hardware to compare it with."""

    device: torch.device

    def place(self, model: nn.Module) -> None: ...

    def running(self, model: nn.Module | None = None) -> AbstractContextManager[None]: ...

    def measuring(self) -> AbstractContextManager[list[Work]]: ...

    def keep(self, tensors: Iterable[Tensor], category: str) -> None: ...


class _Silent(Log):
    def __init__(self) -> None:
        super().__init__(os.devnull, "rehearsal")

    def __call__(self, line: str) -> None:
        pass


class _FixedLength(Adapted):
    """A model whose inputs have one length, whatever their text."""

    def encode(self, columns: Mapping[str, Any], task: Task | None = None) -> Encoded:
        return _examples(Shape(len(columns["id"]), self.batch.length), self.task)

    @property
    def batch(self) -> Shape:
        return inferred(self.task, self.task.batch_tokens)


def inferred(task: Task, tokens: int) -> Shape:
    """The largest batch of an inference of at most `tokens`."""
    return longest(task.max_length, tokens, tokens)


def _examples(shape: Shape, task: Task) -> Encoded:
    rows, classes = np.arange(shape.rows), len(task.classes)
    return Encoded(rows, rows % classes, [[1] * shape.length] * shape.rows, np.full(shape.rows, classes))


def _backbone(task: Task, config: dict[str, Any]) -> PreTrainedModel:
    shape = AutoConfig.for_model(**config)
    return backbone.on_meta(shape, task.kind, len(task.classes), backbone.dtype(task.precision))


def _assembled(job: Rehearsed, config: dict[str, Any]) -> ReadOut:
    """The model that is trained, or with a null adapter the backbone, without storage."""
    task, adapters = job.task, plugins.load(job.adapter, AdapterModule)
    answers = list(range(len(task.classes))) if task.kind == "choice" else None
    with torch.device("meta"):
        hf = _backbone(task, config)
        if job.recipe.adapter is None:
            return adapters.read_out(hf, hf, answers, None)
        return assemble(hf, adapters, job.recipe, job.modules, task.kind, answers)


def _adapted(job: Rehearsed, config: dict[str, Any], machine: Machine) -> _FixedLength:
    """A saved adapter on its backbone, as loading it leaves it."""
    model = _assembled(job, config)
    machine.place(model)
    model.requires_grad_(False)  # as PEFT loads an adapter
    dtype = backbone.dtype(job.task.precision)
    adapters = plugins.load(job.adapter, AdapterModule)
    return _FixedLength(model.eval(), SimpleNamespace(pad_token_id=0), job.task, dtype, _Silent(), adapters)


def _evenly(flat: Tensor, n_experts: int) -> list[int]:
    """Tokens go to all experts alike: routers have no values to choose by."""
    each, more = divmod(len(flat), n_experts)
    return [each + (expert < more) for expert in range(n_experts)]


def routed_evenly() -> AbstractContextManager:
    counted = experts.pairs_by_expert
    return mock.patch.object(experts, "pairs_by_expert", lambda *args: (counted(*args), _evenly(*args))[1])


def _ready(run: loop.Run, micro_batches: int) -> None:
    """Make what earlier steps leave behind: the optimiser's moments, and gradients unless a step has one batch."""
    for parameter in run.step.parameters:
        parameter.grad = torch.zeros_like(parameter)
    with run.step.terms.around(0):
        pass
    run.step.optimiser.step()
    if micro_batches == 1:
        run.step.optimiser.zero_grad(set_to_none=True)


def trained(spec: Spec) -> Shape:
    """The largest micro-batch of a training."""
    job = Rehearsed.model_validate(spec)
    return longest(
        job.recipe.cutoff(job.task.max_length), job.recipe.micro_batch_tokens, job.recipe.optimiser.batch_size
    )


def train(spec: Spec, config: dict[str, Any], machine: Machine) -> Work:
    """The last micro-batch of a step, at the longest inputs, which is measured; and validation after it."""
    rehearsed = Rehearsed.model_validate(spec)
    task, recipe = rehearsed.task, rehearsed.recipe
    model = _assembled(rehearsed, config)
    machine.place(model)
    shape = trained(spec)
    data = {"train": _examples(shape, task), "valid": _examples(inferred(task, task.batch_tokens), task)}
    adapters = plugins.load(rehearsed.adapter, AdapterModule)
    job = loop.Job(
        recipe=recipe,
        extra_loss=adapters.extra_loss,
        seed=0,
        pad=0,
        dtype=backbone.dtype(task.precision),
        max_tokens=task.batch_tokens,
        checkpoint=None,
        identity="",
        log=_Silent(),
        terms=terms(adapters, model, recipe, len(data["train"])),
    )
    one = SimpleNamespace(rank=0, size=1, device=machine.device, spread=list, add_gradients=list)
    with machine.running(model):
        run = loop.Run(model, data, job, one)
        _ready(run, -(-recipe.optimiser.batch_size // shape.rows))
        with machine.measuring() as work:
            run.update(np.arange(shape.rows), 1)
        run.step.read()
        run.record(data["valid"])
    return work[0]


def extract(spec: Spec, config: dict[str, Any], machine: Machine) -> Work:
    """One batch of an evaluation set."""
    adapted = _adapted(Rehearsed.model_validate(spec), config, machine)
    with machine.running(adapted.read_out), machine.measuring() as work:
        adapted.run(_examples(adapted.batch, adapted.task))
    return work[0]


def predict_with_model(spec: Spec, config: dict[str, Any], machine: Machine) -> Work:
    """One sample of each example of a batch; what is searched on train is searched on one example of it."""
    job = Rehearsed.model_validate(spec)
    method = plugins.load(job.module, ModelPredictive)
    adapted = _adapted(job, config, machine)
    data = {part: _columns(rows, job.task) for part, rows in (("test", adapted.batch.rows), ("train", 1))}
    with machine.running(adapted.read_out), machine.measuring() as work:
        method.predict(adapted, data, ["test"], job.params, 0, 1)
    return work[0]


def _columns(rows: int, task: Task) -> dict[str, Any]:
    """Prepared examples of either kind of task."""
    columns = {"id": np.arange(rows), "label": np.zeros(rows, int), "text": ["a"] * rows, "context": [""] * rows}
    return {**columns, "question": ["a"] * rows, "options": [["a"] * len(task.classes)] * rows}


def fit_laplace(spec: Spec, config: dict[str, Any], machine: Machine) -> Work:
    """The curvature of one batch, and the predictive distribution of another."""
    job = Rehearsed.model_validate(spec)
    task, params = job.task, LaplaceParameters.model_validate_json(json.dumps(job.params))
    adapted = _adapted(job, config, machine)
    tokens = min(task.batch_tokens, params.batch_tokens)
    data = _examples(inferred(task, tokens), task)
    execution = kfac.Execution(0, tokens, adapted.dtype)
    with machine.running(adapted.read_out), machine.measuring() as work:
        fit.fit(adapted.read_out, data, {"valid": data}, execution, params, 0, _Silent())
    return work[0]


class TorchScore(Protocol):
    """The part of a score's module with `environment="torch"` by which its jobs are planned.

    `rows` counts examples of the part that it is fitted on, `head` numbers of the head.
    """

    def fitting(self, params: Mapping[str, Any]) -> tuple[str, int]:
        """The part of the records that it is fitted on, and how many of its rows a step takes."""

    def rehearse(self, records: RecordFile, params: Mapping[str, Any], device: str) -> None:
        """A job with few passes over its rows; the records have shapes, but no values."""

    def work(self, params: Mapping[str, Any], rows: int, head: int) -> float:
        """FLOPs of a whole job."""


class _Records:
    """Records of a trained model: `head`, and parts of so many rows."""

    def __init__(self, head: Head, rows: dict[str, int]):
        self.head, self._rows = head, rows

    def __getitem__(self, part: str) -> Record:
        rows, (classes, width) = self._rows[part], self.head.out_weight.shape
        label = np.arange(rows) % classes
        return Record(label, label, np.zeros((rows, classes), np.float32), np.zeros((rows, width), np.float32))


def head(task: Task, config: dict[str, Any]) -> Head:
    hf = _backbone(task, config)
    if task.kind == "choice":
        return Head(np.zeros((len(task.classes), hf.config.hidden_size), np.float32))
    layers = head_layers(hf)
    arrays = {"out_weight": layers.out.weight, "out_bias": layers.out.bias}
    if layers.dense is not None:
        arrays |= {"dense_weight": layers.dense.weight, "dense_bias": layers.dense.bias}
    made = {name: None if array is None else np.zeros(array.shape, np.float32) for name, array in arrays.items()}
    return Head(**made, activation=layers.activation)


def head_size(head: Head) -> int:
    """Numbers of a head's layers."""
    layers = (head.out_weight, head.out_bias, head.dense_weight, head.dense_bias)
    return sum(array.size for array in layers if array is not None)


def fit_score(spec: Spec, config: dict[str, Any], machine: Machine) -> Work:
    """The rehearsal of a score that computes with torch, as its module (`TorchScore`) defines it."""
    job = RehearsedScore.model_validate(spec)
    records = _Records(head(job.task, config), job.rows)
    with machine.running(), machine.measuring() as work:
        plugins.load(job.module, TorchScore).rehearse(records, job.params, str(machine.device))
    return work[0]
