"""Checks of the result of a predictive's plug-in before it is written: distributions, of every example."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from peftuq.artifacts import Samples
from peftuq.errors import UserError
from peftuq.plugins import Predictive

ROUNDING = 1e-4  # by which probabilities may miss a sum of 1


def check(declared: Predictive, file: str, returned: Any, size: int | None, ids: Mapping[str, np.ndarray]) -> None:
    """Raises `UserError` naming the plug-in's `file` unless `returned` is the pair that `predict` is to give.

    `size`: the number in the predictive's name; `ids` (N,): the examples of each evaluation set.
    """
    if not isinstance(returned, tuple) or len(returned) != 2 or not all(isinstance(one, Mapping) for one in returned):
        raise UserError(f"{file}: predict(…) must return two mappings, (samples, facts), not {type(returned).__name__}")
    samples = returned[0]
    for part, expected in ids.items():
        where = f"{file}: predict(…)['{part}']"
        if not isinstance(samples.get(part), Samples):
            raise UserError(f"{where}: is no artifacts.Samples: give one for each of evals")
        if not np.array_equal(samples[part].id, expected) or len(samples[part].label) != len(expected):
            raise UserError(f"{where}: is of other examples than its input: keep their id, label and order")
        _check_probabilities(np.asarray(samples[part].probs), len(expected), where)
        wanted = size if declared.samples else 1
        if declared.reads == "samples":  # each of so many files has some
            wanted = None
        if wanted is not None and len(samples[part].probs) != wanted:
            raise UserError(f"{where}: has {len(samples[part].probs)} samples, and was to have {wanted}: return that "
                            "many, or correct sized and samples in PREDICTIVE")  # fmt: skip


def _check_probabilities(probs: np.ndarray, count: int, where: str) -> None:
    if probs.ndim != 3 or probs.shape[1] != count or probs.dtype.kind != "f":
        raise UserError(f"{where}: probs must be real numbers of shape (samples, {count}, classes), not "
                        f"{probs.dtype} of shape {probs.shape}")  # fmt: skip
    wrong = ~((probs >= 0).all(axis=2) & (np.abs(probs.sum(axis=2) - 1) <= ROUNDING))
    if wrong.any():
        sample, row = np.argwhere(wrong)[0]
        raise UserError(f"{where}: probs[{sample}, {row}] is no distribution ({probs[sample, row].tolist()}), one of "
                        f"{int(wrong.sum())}: each must be ≥ 0 and sum to 1")  # fmt: skip
