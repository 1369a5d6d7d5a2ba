"""Answers of another program to questions with options, and the records that they become."""

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from peftuq.artifacts import Record
from peftuq.errors import UserError
from peftuq.labels import UNLABELLED

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


class Answer(NamedTuple):
    """One question: log-probabilities (nats) of its options, up to a constant; the right one, None where not said."""

    logits: list[float]
    label: int | None


def records(parts: Mapping[str, tuple[Path, Sequence[Answer]]]) -> dict[str, Record]:
    """The record of every part's answers, numbered as they stand in its file; missing options are -inf.

    Raises `UserError` for a file without answers, or of which some have labels and some have none.
    """
    for file, answers in parts.values():
        known = [answer.label is not None for answer in answers]
        if not known:
            raise UserError(f"{file}: has no samples: log some")
        if any(known) and not all(known):
            raise UserError(f"{file}: sample {known.index(False) + 1}: has no target, and others have: give one to all")
    options = max(len(answer.logits) for _, answers in parts.values() for answer in answers)
    return {part: _record(answers, options) for part, (_, answers) in parts.items()}


def _record(answers: Sequence[Answer], options: int) -> Record:
    logits = np.full((len(answers), options), -np.inf, dtype=np.float32)
    for row, answer in zip(logits, answers, strict=True):
        row[: len(answer.logits)] = answer.logits
    label = [UNLABELLED if answer.label is None else answer.label for answer in answers]
    return Record(np.arange(len(answers)), np.array(label, dtype=np.int64), logits, None)


def number(value: object, where: str) -> float:
    """A log-likelihood, a number or the text of one. Raises `UserError` for anything else, or what is not finite."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if is_number or (isinstance(value, str) and _NUMBER.fullmatch(value)):
        found = float(value)  # type: ignore[arg-type]
        if math.isfinite(found):
            return found
    raise UserError(f"{where}: {value!r} is no log-likelihood: it must be a finite number")
