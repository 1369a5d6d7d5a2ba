"""Texts with fields in braces, such as "{question}?": which fields they hold, and how a row fills them in."""

import math
from collections.abc import Mapping
from string import Formatter
from typing import Any


def fields(template: str) -> list[str]:
    """The fields of a template, in order. `ValueError` for braces that do not pair, or that hold more than a name."""
    found = []
    try:
        for _, field, form, conversion in Formatter().parse(template):
            if field is not None:
                if not field or form or conversion:
                    raise ValueError("braces hold the name of a column, and nothing else")
                found.append(field)
    except ValueError as error:
        raise ValueError(f"'{template}': {error}; write {{{{ and }}}} for braces that are meant") from error
    return found


def at(row: Any, path: str) -> Any:
    """The value of a column, or at a dotted path, such as choices.text. `KeyError` without one."""
    if isinstance(row, Mapping) and path in row:
        return row[path]
    value = row
    for key in path.split("."):
        if not isinstance(value, Mapping) or key not in value:
            raise KeyError(path)
        value = value[key]
    return value


def fill(template: str, row: Mapping[str, Any]) -> str:
    """`template` with a row's values. `ValueError` for one that is missing or no text; a number is written out."""
    pieces = Formatter().parse(template)
    return "".join(
        literal + ("" if field is None else as_text(at(row, field), field)) for literal, field, _, _ in pieces
    )


def as_text(value: Any, column: str) -> str:
    """A value as a text. `ValueError` for what a dataset has where a text is missing, and for anything else."""
    if is_missing(value):
        raise ValueError(f"its {column} is empty")
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"its {column} is no text but a {type(value).__name__}: correct the key 'row'")
    text = str(value)
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise ValueError(f"its {column} holds half a character (a lone surrogate), at {error.start}") from error
    return text


def is_empty(value: Any) -> bool:
    return is_missing(value) or (isinstance(value, str) and not value.strip())


def is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and not math.isfinite(value))
