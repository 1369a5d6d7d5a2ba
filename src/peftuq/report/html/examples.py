"""Every test example: what it says, its label, and what each method makes of it, of one seed a predictive."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from peftuq import artifacts, files, labels
from peftuq.cells import Cell, Setting, first_seeds
from peftuq.report.html.blocks import Blocks, Reference
from peftuq.report.html.board import name
from peftuq.report.run import Run

MOST = 20_000_000  # numbers beside the probabilities: above, every second, third … example is kept
LARGEST = 2**21  # examples of a set: more places the page does not sort
LONGEST = 4000  # characters of a text
BLOCK = 1000  # texts
_PROBABILITY_BITS, _SCORE_BITS = 12, 16  # four and five significant digits


def cells(run: Run) -> list[Cell]:
    """The cells whose examples are kept: of a setting's predictive, the one with the smallest seed."""
    return first_seeds(Cell(*(cell[field] for field in Cell._fields)) for cell in run.cells)


def sets(run: Run, blocks: Blocks) -> tuple[list[dict[str, Any]], dict[str, dict[str, Any]], int]:
    """The evaluation sets of every setting, the texts by dataset, and which part of the examples is kept: every n-th.

    A setting or dataset whose files are missing is left out.
    """
    texts = {name: found for name in run.datasets if (found := _texts(run, name)) is not None}
    of: dict[Setting, list[Cell]] = {setting: [] for setting in run.all_settings}
    for cell in cells(run):
        of[cell.setting].append(cell)
    scored = {setting: _Scored(run, setting, here) for setting, here in of.items()}
    numbers = sum(len(texts.get(on, ())) * one.columns for one in scored.values() for on in one.on.values())
    largest = max(map(len, texts.values()), default=0)
    every = max(1, math.ceil(numbers / MOST), math.ceil(largest / LARGEST))
    found = [
        {"setting": place, "on": on, **described}
        for place, one in enumerate(scored.values())
        for part, on in one.on.items()
        if on in texts and (described := one.described(part, every, blocks))
    ]
    shown = {one["on"] for one in found}
    written = {on: _written(run, on, rows[::every], blocks) for on, rows in texts.items() if on in shown}
    return found, written, every


class _Scored:
    """One setting's predictives and scores; `on`: dataset by evaluation set, `columns`: numbers an example."""

    def __init__(self, run: Run, setting: Setting, cells: list[Cell]):
        self._run, self._cells = run, cells
        self._scores = {
            cell: dict.fromkeys(run.score_of(variant) for p, variant in run.scored(setting) if p == cell.predictive)
            for cell in self._cells
        }
        self.on = {"test": setting.dataset} | {shift: shift for shift in run.shifts(setting)}
        self.columns = len(self._cells) + len(run.scored(setting))

    def described(self, part: str, every: int, blocks: Blocks) -> dict[str, Any]:
        """Labels, answers, probabilities and scores of an evaluation set; empty where no predictive was found."""
        found: dict[str, Any] = {}
        predictives: dict[str, Any] = {}
        scores: dict[str, Reference] = {}
        for cell in self._cells:
            path = self._run.file(self._run.paths.samples(*cell))
            if path is None:
                continue
            samples = artifacts.SampleFile(path)[part]
            if not found:
                found = {
                    "examples": len(samples.label[::every]),
                    "labelled": labels.are_known(samples.label),
                    "label": blocks.integers(samples.label[::every]),
                }
            probabilities = samples.mean[::every]
            predictives[cell.predictive] = {
                "seed": cell.seed,
                "options": probabilities.shape[1],
                "answer": blocks.integers(probabilities.argmax(axis=1)),
                "probabilities": blocks.floats(probabilities, _PROBABILITY_BITS),
            }
            for key, values in self._values(cell, part).items():
                scores[key] = blocks.floats(values[::every], _SCORE_BITS)
        return found and {**found, "predictives": predictives, "scores": scores}

    def _values(self, cell: Cell, part: str) -> Mapping[str, np.ndarray]:
        found: dict[str, np.ndarray] = {}
        for score in self._scores[cell]:
            path = self._run.file(self._run.paths.scores(*cell, score))
            if path is not None:
                here = artifacts.read_scores(path).on(part)
                found |= {name(cell.predictive, variant): values for variant, values in here.variants.items()}
        return found


def _texts(run: Run, dataset: str) -> Sequence[Any] | None:
    """A dataset's test examples: texts, or passage, question and options."""
    path = run.file(run.paths.data("test", dataset))
    if path is None:
        return None
    columns = files.read_columns(path)
    if "text" in columns:
        return [_cut(text) for text in columns["text"]]
    rows = zip(columns["context"], columns["question"], columns["options"], strict=True)
    return [[_cut(context), _cut(question), list(map(_cut, options))] for context, question, options in rows]


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} […]"


def _written(run: Run, dataset: str, rows: Sequence[Any], blocks: Blocks) -> dict[str, Any]:
    parts = [blocks.json(rows[start : start + BLOCK]) for start in range(0, len(rows), BLOCK)]
    return {"classes": run.datasets[dataset].get("classes") or [], "size": BLOCK, "blocks": parts}
