"""Prepared examples as token ids: a text for classification, a rendered prompt for a choice task."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from transformers import PreTrainedTokenizerFast

from peftuq import files
from peftuq.data import prompts
from peftuq.data.splits import take
from peftuq.errors import UserError
from peftuq.models.batching import Encoded
from peftuq.progress import Log
from peftuq.specs.task import Task

_UNBOUNDED = 2**31 - 1
UNKNOWN = 0.2  # of a split's tokens: beyond it the texts are not what the model reads


def encode(tokenizer: PreTrainedTokenizerFast, file: str | Path, task: Task) -> Encoded:
    """Tokenise a prepared split; over-long inputs lose text (classification) or passage (choice), nothing else."""
    encoded = tokenise(tokenizer, files.read_columns(file), task)
    _check_known(tokenizer, encoded, str(file))
    return encoded


def count_cut(
    tokenizer: PreTrainedTokenizerFast, encoded: Mapping[str, Encoded], paths: Sequence[str], task: Task, log: Log
) -> dict[str, int]:
    """By split, how many inputs lost tokens to `max_length`; `paths`: the prepared split of each."""
    whole, counts = task.model_copy(update={"max_length": _UNBOUNDED}), {}
    for (part, data), path in zip(encoded.items(), paths, strict=True):
        # Only what fills the length may have been longer: little is tokenised twice.
        full = np.flatnonzero(data.lengths == task.max_length)
        lengths = tokenise(tokenizer, take(files.read_columns(path), full), whole).lengths if len(full) else full
        counts[part] = int((lengths > task.max_length).sum())
        if counts[part]:
            log(f"{part}: {counts[part]} of {len(data)} inputs cut at {task.max_length} tokens")
    return counts


def _check_known(tokenizer: PreTrainedTokenizerFast, encoded: Encoded, where: str) -> None:
    """Raises `UserError` where the tokenizer does not know the split's language."""
    unknown, total = tokenizer.unk_token_id, sum(map(len, encoded.tokens))
    # A decoder may call its padding or end the unknown token, which a text never gives.
    if unknown is None or unknown in (tokenizer.pad_token_id, tokenizer.eos_token_id) or not total:
        return
    share = sum(ids.count(unknown) for ids in encoded.tokens) / total
    if share > UNKNOWN:
        raise UserError(f"{where}: {share:.0%} of its tokens are unknown to the tokenizer of {tokenizer.name_or_path}, "
                        f"more than {UNKNOWN:.0%}: the model's tokenizer files are not its own, or the texts are of "
                        "another language")  # fmt: skip


def tokenise(tokenizer: PreTrainedTokenizerFast, columns: Mapping[str, Any], task: Task) -> Encoded:
    """The same of examples in memory: the columns of a prepared split."""
    n = len(columns["id"])
    if task.kind == "classification":
        encoded = tokenizer(columns["text"], truncation=True, max_length=task.max_length, verbose=False)
        # A text can be empty (newsgroups, once stripped), and a tokenizer without special tokens then gives none.
        tokens = [ids or [tokenizer.pad_token_id] for ids in encoded["input_ids"]]
        n_options = np.full(n, len(task.classes))
    else:
        assert task.prompt is not None
        prompt = task.prompt
        rows = zip(columns["id"], columns["context"], columns["question"], columns["options"], strict=True)
        tokens = [prompts.encode(tokenizer, prompt, row, task.max_length) for row in rows]
        n_options = np.array([len(options) for options in columns["options"]])
    return Encoded(columns["id"], columns["label"], tokens, n_options)


def answer_tokens(tokenizer: PreTrainedTokenizerFast, task: Task) -> list[int] | None:
    """The answer tokens of a choice task, one a class; None for classification."""
    if task.prompt is None:
        return None
    return prompts.answer_token_ids(tokenizer, task.prompt, len(task.classes))
