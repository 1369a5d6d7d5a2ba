"""A saved adapter on its backbone, ready to run: what extraction and plug-ins that need the model work with."""

import importlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedTokenizerFast

from peftuq import fetched
from peftuq.artifacts import Record
from peftuq.models import backbone, encode, inference
from peftuq.models.batching import Encoded
from peftuq.models.readout import ReadOut
from peftuq.progress import Log, Progress


@dataclass(frozen=True)
class Adapted:
    """A model with what it takes to ask it. `task` is the spec's: kind, classes, prompt, sizes."""

    read_out: ReadOut
    tokenizer: PreTrainedTokenizerFast
    task: dict[str, Any]
    dtype: torch.dtype
    log: Log

    @classmethod
    def load(cls, spec: Mapping[str, Any], model: str, adapter: str | None, log: Log) -> "Adapted":
        """The backbone with the provenance `model`, and the adapter with the weights `adapter` if there is one.

        `spec`: `task`, and as `adapter` the module that knows its kind.
        """
        adapters = importlib.import_module(spec["adapter"])
        task, folder = spec["task"], fetched.files(model)
        torch.manual_seed(0)  # an untuned classification head would be random; a trained one replaces it
        dtype = backbone.dtype(task["precision"])
        tokenizer = backbone.tokenizer(folder)
        hf = backbone.load(folder, task["kind"], len(task["classes"]), dtype)
        adapted = hf if adapter is None else adapters.load(hf, Path(adapter).parent)
        read_out = adapters.read_out(adapted, hf, encode.answer_tokens(tokenizer, task), None).to(backbone.device())
        return cls(read_out.eval(), tokenizer, task, dtype, log)

    def encode(self, columns: Mapping[str, Any], task: dict[str, Any] | None = None) -> Encoded:
        """Prepared examples as tokens; `task` in place of the model's own changes their prompts."""
        return encode.tokenise(self.tokenizer, columns, task or self.task)

    def run(self, data: Encoded, progress: Progress | None = None) -> Record:
        sizes = (self.tokenizer.pad_token_id, self.task["batch_tokens"], self.dtype)
        return inference.run(self.read_out, data, *sizes, progress)


def duration(examples: int, started: float) -> dict[str, Any]:
    """How long asking about so many `examples` took since `started` (time.monotonic), in seconds, and on what."""
    return {"examples": examples, "seconds": time.monotonic() - started, "device": str(backbone.device())}
