"""A saved adapter on its backbone, ready to run: for extraction, and for plug-ins that need the model."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedTokenizerFast

from peftuq import fetched, plugins
from peftuq.adapters.protocol import AdapterModule
from peftuq.artifacts import Record
from peftuq.models import backbone, encode, inference
from peftuq.models.batching import Encoded
from peftuq.models.kernels import use_job_kernels
from peftuq.models.readout import ReadOut
from peftuq.progress import Log, Progress
from peftuq.specs import adapted
from peftuq.specs.task import Task


@dataclass(frozen=True)
class Adapted:
    """A model in evaluation mode, its tokenizer, its task, the type it computes in, and its kind of adapter."""

    read_out: ReadOut
    tokenizer: PreTrainedTokenizerFast
    task: Task
    dtype: torch.dtype
    log: Log
    adapters: AdapterModule

    @classmethod
    def load(cls, spec: adapted.Adapted, model: str, adapter: str | None, log: Log) -> "Adapted":
        """The backbone with the provenance `model`, and the adapter with the weights `adapter` if there is one."""
        adapters = plugins.load(spec.adapter, AdapterModule)
        task, folder = spec.task, fetched.files(model)
        use_job_kernels()
        torch.manual_seed(0)  # an untuned classification head would be random; a trained one replaces it
        dtype = backbone.dtype(task.precision)
        tokenizer = backbone.tokenizer(folder)
        hf = backbone.load(folder, task.kind, len(task.classes), dtype)
        loaded = hf if adapter is None else adapters.load(hf, Path(adapter).parent)
        read_out = adapters.read_out(loaded, hf, encode.answer_tokens(tokenizer, task), None).to(backbone.device())
        return cls(read_out.eval(), tokenizer, task, dtype, log, adapters)

    def encode(self, columns: Mapping[str, Any], task: Task | None = None) -> Encoded:
        """Prepared examples as tokens; `task` in place of the model's own changes their prompts."""
        return encode.tokenise(self.tokenizer, columns, task or self.task)

    def run(self, data: Encoded, progress: Progress | None = None) -> Record:
        sizes = (self.tokenizer.pad_token_id, self.task.batch_tokens, self.dtype)
        return inference.run(self.read_out, data, *sizes, progress)


def duration(examples: int, started: float) -> dict[str, Any]:
    """Inference's facts: its number of `examples`, seconds since `started` (time.monotonic), and the device."""
    return {"examples": examples, "seconds": time.monotonic() - started, "device": str(backbone.device())}
