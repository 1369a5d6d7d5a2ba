"""Which columns of a user's table make up an example, and what is wrong with a row that is none."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pydantic import Field

from peftuq.errors import UserError
from peftuq.labels import UNLABELLED
from peftuq.specs.task import Task
from peftuq.strict import Strict

Row = Mapping[str, Any]


class Columns(Strict):
    """Names of a table's columns: `text`, or of a choice task its question, with `options`, a column each or one that
    holds a list, and `context`, a passage."""

    text: str = Field("text", min_length=1)
    options: list[str] = []
    context: str | None = None

    @property
    def named(self) -> list[str]:
        return [self.text, *self.options, *([self.context] if self.context else [])]

    def check(self, there: Sequence[str], where: str, *more: str) -> None:
        """Raises `UserError` for a column that is not `there`."""
        for name in (*self.named, *more):
            if name not in there:
                raise UserError(f"{where}: has no column '{name}', only {', '.join(map(str, there)) or 'none'}: name "
                                "the right ones with --text, --options, --context, --label")  # fmt: skip


def example(row: Row, columns: Columns, task: Task) -> dict[str, Any]:
    """The part of a row that a model reads. Raises `ValueError` saying why there is nothing to be read."""
    if task.kind == "classification":
        return {"text": _text(row, columns.text)}
    options = _options(row, columns)
    if len(options) > len(task.classes):
        raise ValueError(f"{len(options)} options, where the labelled rows have {len(task.classes)} at most")
    context = _text(row, columns.context) if columns.context and not _is_missing(row.get(columns.context)) else ""
    return {"context": context, "question": _text(row, columns.text), "options": options}


def label(row: Row, column: str, classes: Sequence[str], options: int) -> int:
    """A row's label: the name of a class, else its place, counted from 0. Raises `ValueError` for neither."""
    value = row.get(column)
    if _is_missing(value) or not str(value).strip():
        raise ValueError(f"{column} is missing")
    name = str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()
    place = classes.index(name) if name in classes else int(name) if name.isascii() and name.isdigit() else -1
    if not 0 <= place < options:
        known = f"none of {', '.join(classes[:options][:10])}" + (" …" if options > 10 else "")
        raise ValueError(f"{column} is {name[:40]!r}, {known}, and no number from 0 to {options - 1}")
    return place


def stacked(examples: Sequence[Mapping[str, Any]], labels: Sequence[int] | None = None) -> dict[str, Any]:
    """Examples as the columns of a prepared split."""
    n = len(examples)
    known = np.full(n, UNLABELLED) if labels is None else np.asarray(labels, dtype=np.int64)
    return {
        "id": np.arange(n, dtype=np.int64),
        "label": known,
        **{key: [one[key] for one in examples] for key in examples[0]},
    }


def _is_missing(value: Any) -> bool:
    not_a_value = type(value).__name__ in ("NAType", "NaTType")  # pandas' own
    return value is None or not_a_value or (isinstance(value, float) and value != value)


def _text(row: Row, column: str) -> str:
    value = row.get(column)
    if _is_missing(value):
        raise ValueError(f"{column} is missing")
    if isinstance(value, list | dict | tuple | bytes):
        raise ValueError(f"{column} is a {type(value).__name__}, no text")
    text = str(value)
    if not text.strip():
        raise ValueError(f"{column} is empty")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{column} holds half of a character") from None
    return text


def listed(value: Any) -> list[Any] | None:
    """The options that a cell holds as a list; None where it holds none."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    return list(value) if isinstance(value, list | tuple) else None


def _options(row: Row, columns: Columns) -> list[str]:
    if len(columns.options) == 1:
        (column,) = columns.options
        values = listed(row.get(column))
        if values is None:
            raise ValueError(f"{column} is no list")
        found = [_text({column: value}, column) for value in values]
    else:
        there = [name for name in columns.options if not _is_missing(row.get(name)) and str(row.get(name)).strip()]
        if there != columns.options[: len(there)]:
            raise ValueError(f"{columns.options[len(there) - 1]} is given, and an option before it is not")
        found = [_text(row, name) for name in there]
    if len(found) < 2:
        raise ValueError(f"{len(found)} option{'s' * (len(found) != 1)}, where a choice is between two or more")
    return found
