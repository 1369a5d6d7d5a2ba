"""From one published row to an example: its text or question, its options, its label."""

import math
import re
from typing import Any

from peftuq.data.row_schema import Delimited, Label, Rating, Row
from peftuq.data.templates import as_text, at, fields, fill, is_empty
from peftuq.labels import UNLABELLED

_INTEGER = re.compile(r"-?\d{1,9}")


def example_of(row: dict[str, Any], rule: Row, classes: list[str]) -> dict[str, Any] | None:
    """A row's text, or its context, question and options, with its label; None where the rule leaves it out.

    Raises `KeyError` for a missing column and `ValueError` for a label or text that is none.
    """
    if rule.text:
        label = rated(row, rule.rating) if rule.rating else _label(row, rule.label, len(classes))
        return None if label is None else {"text": _clean(fill(rule.text, row), rule.clean).strip(), "label": label}
    options = _options(row, rule.options)
    if len(options) < 2:
        raise ValueError(f"{len(options)} options: a question needs two")
    if len(options) > len(classes):
        raise ValueError(f"{len(options)} options, but 'classes' names only {len(classes)}")
    return {
        "context": fill(rule.context, row).strip(),
        "question": fill(rule.question, row).strip(),
        "options": options,
        "label": _label(row, rule.label, len(options)),
    }


def _label(row: dict[str, Any], rule: Label | None, n_classes: int) -> int:
    return UNLABELLED if rule is None else labelled(row, rule, n_classes)


def labelled(row: dict[str, Any], rule: Label, n_classes: int) -> int:
    value = at(row, rule.column)
    allowed = at(row, rule.among) if rule.among else rule.values or list(range(n_classes))
    if not isinstance(allowed, list):
        raise ValueError(f"its {rule.among} is no list: correct the key 'row.label.among'")
    # A text file has no other values than texts.
    if isinstance(value, str) and value not in allowed and _INTEGER.fullmatch(value.strip()):
        value = int(value)
    if value not in allowed[:n_classes]:
        raise ValueError(f"its {rule.column} is {_shown(value)}, which is none of {allowed[:n_classes]}")
    return allowed.index(value)


def rated(row: dict[str, Any], rule: Rating) -> int | None:
    value = sum(_number(at(row, column), column) for column in rule.sum)
    if rule.drop and rule.drop[0] < value < rule.drop[1]:
        return None
    return sum(value > edge for edge in rule.edges)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]} …"


def _number(value: Any, column: str) -> float:
    try:
        if isinstance(value, bool) or (isinstance(value, str) and "_" in value):
            raise ValueError  # Python would take both for numbers
        number = float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"its {column} is {_shown(value)}, which is no number") from error
    if not math.isfinite(number):
        raise ValueError(f"its {column} is {value}, which is no rating")
    return number


def _options(row: dict[str, Any], rule: str | list[str] | Delimited) -> list[str]:
    if isinstance(rule, list):
        return _listed(row, rule)
    if isinstance(rule, str):
        found = at(row, rule)
        if not isinstance(found, list | tuple):
            raise ValueError(
                f"its {rule} is no list but a {type(found).__name__}: name one, or write ['{{A}}', '{{B}}', …]"
            )
        return [as_text(option, rule).strip() for option in found]
    keyed = [
        option.split(rule.key_end, 1) for option in as_text(at(row, rule.column), rule.column).split(rule.delimiter)
    ]
    bare = next((option for option in keyed if len(option) < 2), None)
    if bare is not None:
        raise ValueError(f"its {rule.column} has an option without {rule.key_end!r}: {bare[0][:40]!r}")
    return [text.strip() for _, text in sorted(keyed)]


def _listed(row: dict[str, Any], rule: list[str]) -> list[str]:
    """Options in columns of their own, of which the last may be empty: not every question has as many."""
    present = [any(is_empty(at(row, field)) for field in fields(option)) for option in rule]
    count = len(rule)
    while count and present[count - 1]:
        count -= 1
    if any(present[:count]):
        raise ValueError(f"its option {present.index(True) + 1} is empty, and a later one is not")
    return [fill(option, row).strip() for option in rule[:count]]


def _clean(text: str, parts: list[str]) -> str:
    """Newsgroup posts without headers, signature and quotes: exactly scikit-learn's rules, in its order."""
    if not parts:
        return text
    from sklearn.datasets import _twenty_newsgroups as rules

    if "headers" in parts:
        text = rules.strip_newsgroup_header(text)
    if "footers" in parts:
        text = rules.strip_newsgroup_footer(text)
    if "quotes" in parts:
        text = rules.strip_newsgroup_quoting(text)
    return text
