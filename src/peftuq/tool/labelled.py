"""Labelled rows: read, checked, run through the adapter, and dealt to the parts of a fit."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from peftuq.artifacts import Record
from peftuq.errors import UserError
from peftuq.progress import Log, Progress
from peftuq.specs.task import Task
from peftuq.tool.columns import Columns, example, label, stacked
from peftuq.tool.tables import Rows, scan

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

SHARES = {"train": 0.24, "valid": 0.16, "choose": 0.25, "held_out": 0.35}  # of the labelled rows
LEAST = 60  # labelled rows


class Labelled(NamedTuple):
    """Examples and their labels, of one table."""

    examples: list[dict[str, Any]]
    labels: list[int]

    def __len__(self) -> int:
        return len(self.labels)


def read(table: "Path | pd.DataFrame", option: str, columns: Columns, label_column: str, task: Task) -> Labelled:
    """All rows of a table; each must be an example with a label. Raises `UserError` naming the first that is none."""
    rows = Rows(table, option)
    columns.check(scan(rows)[1], rows.where, label_column)
    found, bad = Labelled([], []), 0
    first = ""
    for number, row in enumerate(rows, 1):
        try:
            read = example(row, columns, task)
            options = len(read["options"]) if task.kind == "choice" else len(task.classes)
            found.labels.append(label(row, label_column, task.classes, options))
            found.examples.append(read)
        except ValueError as error:
            first, bad = first or f"row {number}: {error}", bad + 1
    if bad:
        more = f" (and {bad - 1} more rows)" if bad > 1 else ""
        raise UserError(f"{rows.where}: {first}{more}: correct these rows, or leave them out")
    return found


def check(data: Labelled, task: Task) -> None:
    if len(data) < LEAST:
        raise UserError(f"--data: has {len(data)} rows: {LEAST} or more are needed, some hundreds are better")
    if len(set(data.labels)) < 2:
        raise UserError(
            f"--data: all {len(data)} rows have the label {task.classes[data.labels[0]]}: two or more are needed"
        )


def record(adapted: Any, data: Labelled, what: str, log: Log) -> Record:
    encoded = adapted.encode(stacked(data.examples, data.labels))
    found: Record = adapted.run(encoded, Progress(log, what, len(encoded), "rows"))
    return found


def prepared(parts: Mapping[str, Record], data: Labelled, train: Labelled | None) -> dict[str, dict[str, Any]]:
    """Prepared examples of each part, whose ids are their rows."""
    found = {}
    for name, part in parts.items():
        rows = train if name == "train" and train is not None else data
        found[name] = stacked([rows.examples[row] for row in part.id], part.label.tolist())
        found[name]["id"] = part.id
    return found


def take(record: Record, rows: np.ndarray) -> Record:
    fields: dict[str, Any] = {name: None if value is None else value[rows] for name, value in vars(record).items()}
    return Record(**fields)


def split(record: Record, seed: int, train: Record | None = None) -> dict[str, Record]:
    """The parts choose, held_out, train and valid: a seeded random split of the labelled rows by `SHARES`.

    Without training rows the part for fitting is split once more, and its larger piece stands for them.
    """
    order = np.random.default_rng(seed).permutation(len(record.id))
    shares = (
        list(SHARES.values()) if train is None else [0.0, SHARES["train"] + SHARES["valid"], *list(SHARES.values())[2:]]
    )
    ends = np.rint(np.cumsum(shares)[:-1] * len(order)).astype(int)
    parts = {name: take(record, np.sort(rows)) for name, rows in zip(SHARES, np.split(order, ends), strict=True)}
    return parts if train is None else {**parts, "train": train}
