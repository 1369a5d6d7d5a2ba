"""Examples that a reader of the results should know of: counted when they were prepared, and as they were read."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from peftuq.cells import Setting
from peftuq.report.declared import Block, DeclaredTable, Field
from peftuq.report.headings import Headings
from peftuq.report.run import Run
from peftuq.report.tables import NOT_REQUESTED, Column, Entry

COUNTS = {
    "examples": "Examples",
    "empty": "Empty",
    "repeated": "Repeated",
    "contradictory": "Two labels",
    "in_train": "Also in train",
}
PARTS = ("train", "valid", "test")


@dataclass(frozen=True)
class Split:
    """A split of a dataset and its counts, by the keys of COUNTS."""

    title: str
    counts: dict[str, int]


def _splits(run: Run, datasets: Sequence[str]) -> list[Split]:
    found = []
    for name in datasets:
        rows, notes = run.dataset_facts(name)
        counted = json.loads(notes.get("counts", "{}"))
        for part in (part for part in rows if rows[part]):
            counts = {"examples": rows[part], **counted.get(part, {})}
            if not rows.get("train"):  # none of its own that it could hold
                counts.pop("in_train", None)
            found.append(Split(f"{name}, {part}", counts))
    return found


def _count(key: str) -> Field[Split]:
    def entry(split: Split) -> Entry:
        return Entry(f"{split.counts[key]:,}" if key in split.counts else NOT_REQUESTED)

    return Field(Column(COUNTS[key]), entry)


EXAMPLES = DeclaredTable[Sequence[str], Split](
    "run_examples",
    "Examples that tell less.",
    "Of each split as prepared: examples without a text or question; whose content, but for the label, an earlier one "
    "of the split has; whose content another one of the split has with another label; whose content is a training "
    "example’s, too. All are kept.",
    ("Split",),
    lambda run, datasets: [Block(_splits(run, datasets), [[_count(key) for key in COUNTS]])],
)


@dataclass(frozen=True)
class Inputs:
    """The examples of a dataset as a setting's model reads them: at most `tokens` each; `cut`: how many, by split."""

    title: str
    tokens: str
    cut: dict[str, int]
    rows: dict[str, int]


def _inputs(run: Run, settings: Sequence[Setting]) -> list[Inputs]:
    found: dict[tuple[str, str], Inputs] = {}
    for setting in settings:
        for one in _of_setting(run, setting, Headings(run, []).model(setting)):
            found.setdefault((one.title, one.tokens), one)
    return list(found.values())


def _of_setting(run: Run, setting: Setting, model: str) -> Iterator[Inputs]:
    counted = run.inputs(setting)
    if counted is None:
        return
    tokens, cut = counted
    own = {part: cut[part] for part in PARTS if part in cut}
    trained = run.recipes[setting.recipe].get("train_max_length") or tokens
    shown = f"{tokens:,}" if trained >= tokens else f"{tokens:,}; train {trained:,}"
    yield Inputs(f"{model} on {setting.dataset}", shown, own, run.dataset_facts(setting.dataset)[0])
    for shift in run.shifts(setting):
        yield Inputs(f"{model} on {shift}", f"{tokens:,}", {"test": cut[shift]}, run.dataset_facts(shift)[0])


def _share(part: str) -> Field[Inputs]:
    def entry(inputs: Inputs) -> Entry:
        if part not in inputs.cut or not inputs.rows.get(part):
            return Entry(NOT_REQUESTED)
        return Entry(value=100 * inputs.cut[part] / inputs.rows[part])

    return Field(Column(part.capitalize(), "Cut, %"), entry)


CUT = DeclaredTable[Sequence[Setting], Inputs](
    "run_cut",
    "Inputs that were cut.",
    "Share of the inputs that were longer than the model may read and lost their end, or, of a question, the end of "
    "its passage.",
    ("Model and dataset",),
    lambda run, settings: [
        Block(
            _inputs(run, settings),
            [[Field(Column("Tokens at most"), lambda inputs: Entry(inputs.tokens)), *map(_share, PARTS)]],
        )
    ],
)
