"""A saved adapter on its backbone, ready to run: for extraction, and for plug-ins that need the model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedTokenizerFast

from peftuq import fetched, plugins
from peftuq.adapters.protocol import AdapterModule
from peftuq.artifacts import Record
from peftuq.errors import UserError
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

    @cached_property
    def limits(self) -> backbone.Limits:
        return backbone.Limits.of(self.read_out.hf)

    def encode(self, columns: Mapping[str, Any], task: Task | None = None) -> Encoded:
        """Prepared examples as tokens; `task` in place of the model's own changes their prompts."""
        encoded = encode.tokenise(self.tokenizer, columns, task or self.task)
        self.limits.check(encoded.tokens, self.tokenizer.name_or_path)
        return encoded

    def read(self, parts: Sequence[str], paths: Sequence[str]) -> tuple[dict[str, Encoded], dict[str, int]]:
        """Prepared splits as tokens, and how many inputs of each were cut.

        Raises `UserError` for a language not its own, and for an input that the model has no row or position for.
        """
        data = {part: encode.encode(self.tokenizer, path, self.task) for part, path in zip(parts, paths, strict=True)}
        for encoded, path in zip(data.values(), paths, strict=True):
            self.limits.check(encoded.tokens, path)
        return data, encode.count_cut(self.tokenizer, data, paths, self.task, self.log)

    def run(self, data: Encoded, progress: Progress | None = None) -> Record:
        """The record of every example. Raises `UserError` where the model's output is no number."""
        sizes = (self.tokenizer.pad_token_id, self.task.batch_tokens, self.dtype)
        record = inference.run(self.read_out, data, *sizes, progress)
        assert record.h is not None
        sound = np.isfinite(record.h).all(axis=1) & ~np.isnan(record.logits).any(axis=1)
        if not sound.all():
            raise UserError(f"example {record.id[sound.argmin()]}, one of {int((~sound).sum())}: the model's output is "
                            f"NaN or infinite in {self.task.precision}: set precision: fp32 in the recipe, or train "
                            "with a lower optimiser.lr")  # fmt: skip
        return record
