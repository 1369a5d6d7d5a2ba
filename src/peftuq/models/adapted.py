"""A saved adapter on its backbone, ready to be asked: what plug-ins that need the model work with."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from transformers import PreTrainedTokenizerFast

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
    def load(
        cls, adapters: ModuleType, task: dict[str, Any], folder: Path, adapter: Path | None, log: Log
    ) -> "Adapted":
        """The backbone in `folder`, with an adapter of the kind that `adapters` knows unless `adapter` is None."""
        torch.manual_seed(0)  # an untuned classification head would be random; a trained one replaces it
        dtype = backbone.dtype(task["precision"])
        tokenizer = backbone.tokenizer(folder)
        hf = backbone.load(folder, task["kind"], len(task["classes"]), dtype)
        model = hf if adapter is None else adapters.load(hf, adapter)
        read_out = adapters.read_out(model, hf, encode.answer_tokens(tokenizer, task), None).to(backbone.device())
        return cls(read_out.eval(), tokenizer, task, dtype, log)

    def encode(self, columns: Mapping[str, Any], task: dict[str, Any] | None = None) -> Encoded:
        """Prepared examples as tokens; `task` in place of the model's own changes how they are asked."""
        return encode.tokenise(self.tokenizer, columns, task or self.task)

    def run(self, data: Encoded, progress: Progress | None = None) -> Record:
        sizes = (self.tokenizer.pad_token_id, self.task["batch_tokens"], self.dtype)
        return inference.run(self.read_out, data, *sizes, progress)
