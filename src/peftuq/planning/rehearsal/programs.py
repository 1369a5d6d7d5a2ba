"""The jobs of a GPU, each through the code that its script runs, on models and batches of true size without data."""

import importlib
import os
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from transformers import AutoConfig

from peftuq.models import backbone
from peftuq.models.adapted import Adapted
from peftuq.models.batching import Encoded
from peftuq.models.lora import trainable
from peftuq.planning.rehearsal.batches import Shape, longest
from peftuq.planning.rehearsal.device import device, on_device
from peftuq.planning.rehearsal.tracer import Tracer, Work
from peftuq.progress import Log
from peftuq.training import loop
from peftuq.training.assemble import assemble


class _Silent(Log):
    def __init__(self) -> None:
        super().__init__(os.devnull, "rehearsal")

    def __call__(self, line: str) -> None:
        pass


def _examples(shape: Shape, task: dict[str, Any]) -> Encoded:
    rows = np.arange(shape.rows)
    return Encoded(rows, rows % 2, [[1] * shape.length] * shape.rows, np.full(shape.rows, len(task["classes"])))


def _backbone(spec: dict[str, Any], config: dict[str, Any]):
    task = spec["task"]
    hf_config = AutoConfig.for_model(**config)
    return backbone.on_meta(hf_config, task["kind"], len(task["classes"]), backbone.dtype(task["precision"]))


def _answers(task: dict[str, Any]) -> list[int] | None:
    return list(range(len(task["classes"]))) if task["kind"] == "choice" else None


def _give(tracer: Tracer, model: torch.nn.Module) -> None:
    """Move a model to the device, and count its parameters as what they are."""
    on_device(model)
    model.to = lambda *_: model  # it is there; torch would swap its parameters for themselves, which have references
    adapter = trainable(model)
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        tracer.keep([tensor], "adapter and optimiser" if name in adapter else "weights")


def _ready(run: loop.Run, micro_batches: int) -> None:
    """What earlier steps leave behind: the optimiser's moments, and gradients if this is not a step's first batch."""
    for parameter in run.step.parameters:
        parameter.grad = torch.empty_like(parameter)
    run.step.optimiser.step()
    if micro_batches == 1:
        run.step.optimiser.zero_grad(set_to_none=True)


def train(spec: dict[str, Any], config: dict[str, Any], tracer: Tracer) -> Work:
    """The last micro-batch of a step, at the longest inputs, and validation after it.

    The work is that of the micro-batch.
    """
    task, recipe = spec["task"], spec["recipe"]
    adapters = importlib.import_module(f"peftuq.adapters.{spec['adapter']}")
    with torch.device("meta"):
        model = assemble(_backbone(spec, config), adapters, spec, _answers(task))
    _give(tracer, model)
    whole = recipe["optimiser"]["batch_size"]
    shape = longest(task["max_length"], recipe["micro_batch_tokens"], whole)
    asked = longest(task["max_length"], task["batch_tokens"], task["batch_tokens"])
    data = {"train": _examples(shape, task), "valid": _examples(asked, task)}
    job = loop.Job(
        recipe=recipe,
        extra_loss=adapters.extra_loss,
        seed=0,
        pad=0,
        dtype=backbone.dtype(task["precision"]),
        max_tokens=task["batch_tokens"],
        checkpoint=None,
        identity="",
        log=_Silent(),
    )
    one = SimpleNamespace(process_index=0, num_processes=1, device=device(), prepare=lambda module: module)
    with tracer.tracing(model):
        run = loop.Run(model, data, job, one)
        _ready(run, -(-whole // shape.rows))
        with tracer.measuring() as work:
            run.update(np.arange(shape.rows), 1)
        run.step.read()
        run.record(data["valid"])
    return work[0]
