"""From published rows to a task's examples.

classification: id int64, text str, label int64.
choice: id int64, context str ("" if none), question str, options list of str, label int64 (place in options).
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from peftuq.data import quality, readers, splits
from peftuq.data.archives import sha256
from peftuq.data.rows import example_of
from peftuq.data.schema import Preparation
from peftuq.data.splits import Columns
from peftuq.errors import UserError
from peftuq.fetched import PROVENANCE


def prepare(spec: Preparation | dict[str, Any], folder: Path) -> tuple[dict[str, Columns], dict[str, str]]:
    """The parts "train", "valid", "test" of a dataset (empty for shift-only sets), and their metadata.

    `spec`: also as a mapping; `folder` holds the source's files, and beside it is their provenance. Raises
    `UserError`, naming the dataset, for missing columns, labels that are none of its classes, and classes without a
    training example, a part without any, and a test that has been trained on.
    """
    wanted = Preparation.model_validate(spec)
    _check_files(wanted, folder)
    official = {name: _official(wanted, name, folder) for name in wanted.splits.used}
    parts = {
        part: splits.limit(columns, part, wanted.limit.get(part))
        for part, columns in splits.split(official, wanted.splits).items()
    }
    for part in ("train", "valid", "test") if wanted.splits.train else ("test",):
        if not len(parts[part]["id"]):
            raise UserError(
                f"dataset {wanted.name}: {part} has no example: correct the key 'splits' or 'sources.files'"
            )
    if wanted.splits.train and wanted.row.text:
        _check_classes(parts["train"]["label"], wanted)
    counts = quality.counts(parts)
    quality.check(counts, f"dataset {wanted.name}")
    return parts, {**_metadata(wanted, folder), "counts": json.dumps(counts)}


def _check_files(wanted: Preparation, folder: Path) -> None:
    """No file is read for two official splits, whatever their patterns."""
    owner: dict[Path, str] = {}
    for name in wanted.splits.used:
        for file in readers.find(folder, wanted.files[name]):
            if file in owner:
                raise UserError(
                    f"{file}: dataset {wanted.name}: is read for {owner[file]} and for {name}: correct 'files'"
                )
            owner[file] = name


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
    numbers, examples, number = [], [], -1
    files = readers.find(folder, wanted.files[name])
    for number, row in enumerate(readers.read(files, wanted.format, wanted.header)):
        where = f"dataset {wanted.name}: {name} row {number}"
        try:
            if all(str(row[column]) in allowed for column, allowed in wanted.row.where.items()):
                example = example_of(row, wanted.row, wanted.classes)
                if example is not None:
                    numbers.append(number)
                    examples.append(example)
        except KeyError as error:
            there = ", ".join(map(repr, row))
            raise UserError(f"{where}: has no column {error}, but {there}: correct the key 'row'") from error
        except (ValueError, TypeError) as error:
            raise UserError(f"{where}: {error}") from error
    if number < 0:
        named = ", ".join(file.name for file in files)
        raise UserError(
            f"{files[0].parent}: dataset {wanted.name}: {named} has no row: fetch it again, or correct 'files'"
        )
    if not examples:
        rules = [
            f"'row.{key}'" for key, rule in (("where", wanted.row.where), ("rating.drop", wanted.row.rating)) if rule
        ]
        raise UserError(f"dataset {wanted.name}: no {name} row is left: correct {' or '.join(rules)}")
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
