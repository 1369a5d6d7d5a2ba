"""Which examples train, validate and test: drawn with a seed of their own, never with a run's."""

import math
from typing import Any

import numpy as np

from peftuq.data.schema import OFFICIAL, Carve, Splits

SEED = 42
ROW_LIMIT = 10**9  # an example's id: the place of its official split in OFFICIAL × this, plus its row there

Columns = dict[str, Any]  # equally long arrays and lists; "id" is always among them


def ids(official: str, rows: np.ndarray) -> np.ndarray:
    """Ids (N,) int64 of the examples in `rows` of an official split: the same for every source and limit."""
    return OFFICIAL.index(official) * ROW_LIMIT + rows.astype(np.int64)


def take(columns: Columns, rows: np.ndarray) -> Columns:
    return {
        name: values[rows] if isinstance(values, np.ndarray) else [values[row] for row in rows]
        for name, values in columns.items()
    }


def split(official: dict[str, Columns], splits: Splits) -> dict[str, Columns]:
    """Official splits → {"train", "valid", "test"}; a part without rules is empty.

    A carved share of n rows has ceil(share × n) of them, as scikit-learn's `train_test_split` does.
    """
    train = _concatenate(official, splits.train)
    if isinstance(splits.test, Carve):
        train, test = _carve(train, splits.test, "test")
    else:
        test = _concatenate(official, splits.test)
    if isinstance(splits.valid, Carve):
        train, valid = _carve(train, splits.valid, "valid")
    else:
        valid = _concatenate(official, splits.valid)
    return {"train": limit(train, "train", splits.train_rows), "valid": valid, "test": test}


def _concatenate(official: dict[str, Columns], names: list[str]) -> Columns:
    parts = [official[name] for name in names] or [take(columns, np.arange(0)) for columns in official.values()][:1]
    return {
        name: np.concatenate([part[name] for part in parts])
        if isinstance(parts[0][name], np.ndarray)
        else [value for part in parts for value in part[name]]
        for name in parts[0]
    }


def _permutation(n: int, part: str, purpose: int) -> np.ndarray:
    return np.random.default_rng([SEED, purpose, ("train", "valid", "test").index(part)]).permutation(n)


def _carve(columns: Columns, rule: Carve, part: str) -> tuple[Columns, Columns]:
    """(what is left, what is carved out), each in the source's order."""
    n = len(columns["id"])
    size = rule.rows if rule.rows is not None else math.ceil(rule.share * n)
    order = _permutation(n, part, 0)
    return take(columns, np.sort(order[size:])), take(columns, np.sort(order[:size]))


def limit(columns: Columns, part: str, rows: int | None) -> Columns:
    """A seeded random choice of at most `rows` examples; a smaller one is contained in every larger one."""
    n = len(columns["id"])
    if rows is None or rows >= n:
        return columns
    return take(columns, np.sort(_permutation(n, part, 1)[:rows]))
