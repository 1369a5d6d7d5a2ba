"""From published rows to a task's examples.

classification: id int64, text str, label int64.
choice: id int64, context str ("" if none), question str, options list of str, label int64 (place in options).
"""

import json
from pathlib import Path
from string import Formatter
from typing import Any

import numpy as np

from peftuq.data import readers, splits
from peftuq.data.archives import sha256
from peftuq.data.schema import Delimited, Label, Preparation, Rating, Row
from peftuq.data.splits import Columns
from peftuq.errors import UserError
from peftuq.fetched import PROVENANCE


def prepare(spec: Preparation | dict[str, Any], folder: Path) -> tuple[dict[str, Columns], dict[str, str]]:
    """The parts "train", "valid", "test" of a dataset (empty for shift-only sets), and their metadata.

    `spec`: also as a mapping; `folder` holds the source's files, and beside it is their provenance. Raises
    `UserError`, naming the dataset, for missing columns, labels that are none of its classes, and classes without a
    training example.
    """
    wanted = Preparation.model_validate(spec)
    official = {name: _official(wanted, name, folder) for name in wanted.splits.used}
    parts = {
        part: splits.limit(columns, part, wanted.limit.get(part))
        for part, columns in splits.split(official, wanted.splits).items()
    }
    if wanted.splits.train and wanted.row.text:
        _check_classes(parts["train"]["label"], wanted)
    return parts, _metadata(wanted, folder)


def _metadata(wanted: Preparation, folder: Path) -> dict[str, str]:
    recorded = folder.parent / PROVENANCE
    files = [file for name in wanted.splits.used for file in readers.find(folder, wanted.files[name])]
    read = {file.relative_to(folder).as_posix(): sha256(file) for file in files}
    return {
        "dataset": wanted.name,
        "kind": wanted.kind,
        "classes": json.dumps(wanted.classes, ensure_ascii=False),
        "source": wanted.source,
        "provenance": recorded.read_text() if recorded.is_file() else "{}",
        "files": json.dumps(read),
        "notes": wanted.note,
    }


def _check_classes(labels: np.ndarray, wanted: Preparation) -> None:
    counts = np.bincount(labels, minlength=len(wanted.classes))
    for name, count in zip(wanted.classes, counts, strict=True):
        if count == 0:
            hint = "raise limit.train" if "train" in wanted.limit else "correct the key 'classes'"
            raise UserError(f"dataset {wanted.name}: class '{name}' has no training example: {hint}")


def _official(wanted: Preparation, name: str, folder: Path) -> Columns:
    """All examples of one official split, in the source's order."""
    numbers, examples = [], []
    files = readers.find(folder, wanted.files[name])
    for number, row in enumerate(readers.read(files, wanted.format, wanted.header)):
        where = f"dataset {wanted.name}: {name} row {number}"
        try:
            if all(row[column] in allowed for column, allowed in wanted.row.where.items()):
                example = example_of(row, wanted.row, wanted.classes)
                if example is not None:
                    numbers.append(number)
                    examples.append(example)
        except KeyError as error:
            raise UserError(f"{where}: has no column {error}: correct the key 'row'") from error
        except (ValueError, TypeError) as error:
            raise UserError(f"{where}: {error}") from error
    if not examples:
        raise UserError(f"dataset {wanted.name}: no {name} row is left: correct 'row.where' or 'row.rating'")
    columns = {key: [example[key] for example in examples] for key in examples[0]}
    columns["label"] = np.array(columns["label"], dtype=np.int64)
    columns = {"id": splits.ids(name, np.array(numbers)), **columns}
    as_asked = wanted.kind == "choice" and wanted.row.text
    return as_choice(columns, wanted.classes, wanted.question) if as_asked else columns


def as_choice(columns: Columns, classes: list[str], question: str) -> Columns:
    """A classification dataset asked as a question: texts are passages, class names the options."""
    n = len(columns["id"])
    return {
        "id": columns["id"],
        "context": columns["text"],
        "question": [question] * n,
        "options": [list(classes)] * n,
        "label": columns["label"],
    }


# -- one row --------------------------------------------------------------------------------------------


def example_of(row: dict[str, Any], rule: Row, classes: list[str]) -> dict[str, Any] | None:
    """A row's text, or its context, question and options, with its label; None where the rule leaves it out.

    Raises `KeyError` for a missing column and `ValueError` for a label or text that is none.
    """
    if rule.text:
        label = rated(row, rule.rating) if rule.rating else labelled(row, rule.label, len(classes))
        return None if label is None else {"text": _clean(_fill(rule.text, row), rule.clean).strip(), "label": label}
    options = _options(row, rule.options)
    if len(options) > len(classes):
        raise ValueError(f"{len(options)} options, but 'classes' names only {len(classes)}")
    return {
        "context": _fill(rule.context, row).strip(),
        "question": _fill(rule.question, row).strip(),
        "options": options,
        "label": labelled(row, rule.label, len(options)),
    }


def labelled(row: dict[str, Any], rule: Label, n_classes: int) -> int:
    value = _at(row, rule.column)
    allowed = _at(row, rule.among) if rule.among else rule.values or list(range(n_classes))
    if value not in allowed[:n_classes]:
        raise ValueError(f"its {rule.column} is {value!r}, which is none of {allowed[:n_classes]}")
    return allowed.index(value)


def rated(row: dict[str, Any], rule: Rating) -> int | None:
    value = sum(float(_at(row, column)) for column in rule.sum)
    if rule.drop and rule.drop[0] < value < rule.drop[1]:
        return None
    return sum(value > edge for edge in rule.edges)


def _at(row: dict[str, Any], path: str) -> Any:
    """The value at a dotted path, such as choices.text."""
    value = row
    for key in path.split("."):
        if not isinstance(value, dict) or key not in value:
            raise KeyError(path)
        value = value[key]
    return value


def _fill(template: str, row: dict[str, Any]) -> str:
    for _, column, _, _ in Formatter().parse(template):
        if column and row[column] is None:
            raise ValueError(f"its {column} is empty")
    return template.format_map(row)


def _options(row: dict[str, Any], rule: str | list[str] | Delimited) -> list[str]:
    if isinstance(rule, list):
        return list(rule)
    if isinstance(rule, str):
        return [option.strip() for option in _at(row, rule)]
    keyed = sorted(option.split(rule.key_end, 1) for option in _at(row, rule.column).split(rule.delimiter))
    return [text.strip() for _, text in keyed]


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
