"""The answers of an ensemble after every epoch of its fine-tuning, as the workflow's rule `trace` left it."""

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from peftuq import files
from peftuq.cells import Setting
from peftuq.report.run import Run


class Answers(NamedTuple):
    """N answers of one ensemble: `entropy` and `mutual_information` (N,) in nats, `correct` bool (N,).

    Without labels all of `correct` is False.
    """

    entropy: np.ndarray
    mutual_information: np.ndarray
    correct: np.ndarray


class Trace:
    """Curves of every size M, and the examples of one ensemble of `members`, fine-tuned on `dataset`.

    `rows` are those of `predict.trace.curves`, `examples` the file of `predict.trace.examples`.
    """

    def __init__(self, dataset: str, rows: Sequence[Mapping[str, Any]], examples: files.ArrayFile):
        self.dataset, self._rows, self._examples = dataset, rows, examples
        self.parts: list[str] = list(dict.fromkeys(row["part"] for row in rows))
        self.epochs: list[int] = sorted({row["epoch"] for row in rows})
        self.sizes: list[int] = sorted({row["size"] for row in rows})
        self.members = int(examples.metadata["members"])
        self.options: dict[str, int] = json.loads(examples.metadata["options"])  # by part, the most a question has

    @property
    def evals(self) -> list[str]:
        """The parts whose labels training never saw: the test split and the shift sets."""
        return [part for part in self.parts if part not in ("train", "valid")]

    @property
    def labelled(self) -> list[str]:
        """Those of `evals` whose labels are known."""
        known = {row["part"] for row in self._rows if "nll" in row}
        return [part for part in self.evals if part in known]

    def title(self, part: str) -> str:
        """The title of a part: a test split by its dataset, as a shift set is."""
        return self.dataset if part == "test" else part

    @cached_property
    def _values(self) -> dict[tuple[str, int, int], list[Mapping[str, Any]]]:
        grouped: dict[tuple[str, int, int], list[Mapping[str, Any]]] = {}
        for row in sorted(self._rows, key=lambda row: row["first"]):
            grouped.setdefault((row["part"], row["epoch"], row["size"]), []).append(row)
        return grouped

    def ensembles(self, metric: str, part: str, epoch: int, size: int) -> np.ndarray:
        """A metric of every disjoint ensemble of `size`, that of the first members first."""
        return np.array([row[metric] for row in self._values[part, epoch, size]])

    def answers(self, part: str, epoch: int) -> Answers:
        """The answers of the ensemble of the first `members`."""
        entropy, information = (self._examples[f"{epoch}/{part}/{name}"] for name in ("entropy", "mutual_information"))
        correct = self._examples.get(f"{epoch}/{part}/correct")
        return Answers(entropy, information, np.zeros(len(entropy), bool) if correct is None else correct.astype(bool))

    @cached_property
    def best_epoch(self) -> int:
        """The first epoch with the lowest validation NLL of the ensemble whose examples are shown."""
        return min(self.epochs, key=lambda epoch: self.ensembles("nll", "valid", epoch, self.members)[0])

    @property
    def shown_epochs(self) -> dict[int, str]:
        """The first, the best and the last epoch, each with what it is called."""
        named = ((self.epochs[0], "first"), (self.best_epoch, "best"), (self.epochs[-1], "last"))
        names: dict[int, list[str]] = {}
        for epoch, name in named:
            names.setdefault(epoch, []).append(name)
        several = len(self.epochs) > 1
        return {e: f"epoch {e}" + (f" ({', '.join(names[e])})" if several else "") for e in sorted(names)}


def why_none(run: Run, setting: Setting) -> str:
    """Why a setting with an ensemble has no trace to be read; empty where it has one."""
    if run.recipes[setting.recipe].get("epoch_records") is None:
        return "its recipe does not record every epoch"
    missing = [path for path in _paths(run, setting) if not path.is_file()]
    return "the trace of its training is missing" if missing else ""


def read(run: Run, setting: Setting) -> Trace | None:
    """The trace of a setting; None where `why_none` has a reason."""
    if why_none(run, setting):
        return None
    curves, examples = _paths(run, setting)
    for path in (curves, examples):
        run.file(str(path))
    return Trace(setting.dataset, files.read_json(curves), files.ArrayFile(examples))


def _paths(run: Run, setting: Setting) -> tuple[Path, Path]:
    return Path(run.paths.trace(*setting)), Path(run.paths.trace_examples(*setting))
