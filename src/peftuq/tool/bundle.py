"""The bundle that a fit leaves behind: a method, the curve to P(wrong), and the rows that a risk is controlled with.

A folder with `bundle.json` and `arrays.safetensors`. The arrays are named by what they belong to: "predictive/…" and
"score/…", the states of the picked method; "p_wrong/x" and "p_wrong/y", the curve's knots; "held_out/score" and
"held_out/error", the rows that none of these was fitted or chosen on.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from peftuq import files, plugins
from peftuq.artifacts import softmax
from peftuq.config import load
from peftuq.data.model_files import json_object
from peftuq.errors import UserError
from peftuq.integrity import sha256
from peftuq.jobs.identity import module
from peftuq.metrics.risk_control import answer_threshold
from peftuq.predictives.protocol import ExportedPredictive
from peftuq.scores.protocol import ExportedScore
from peftuq.specs.task import Task
from peftuq.strict import Strict
from peftuq.tool.calibration import Curve
from peftuq.tool.candidates import POINT, Candidate, methods
from peftuq.tool.choice import Line
from peftuq.tool.columns import Columns

FORMAT = 1
JSON, ARRAYS = "bundle.json", "arrays.safetensors"
LARGEST = 2**26  # bytes of the JSON
REMEDY = "run peftuq fit again"


class Quality(Strict):
    """The picked method on the held-out rows: error rate of the answers, AUROC of the score (with its 95 % interval),
    and of the cross-fitted P(wrong) the calibration error (15 bins) and Brier score."""

    rows: int
    errors: int
    auroc: float | None
    auroc_low: float | None
    auroc_high: float | None
    ece: float
    brier: float


class Content(Strict):
    """`bundle.json`. `predictive`, `score`, `variant`: the picked method; `folders` and `sha256`: of the model and the
    adapter, and the digest of the arrays."""

    format: int
    version: str
    task: Task
    columns: Columns
    folders: dict[str, str]
    sha256: dict[str, str]
    arrays: str
    predictive: str
    score: str
    variant: str
    purpose: str
    seed: int
    rows: dict[str, int]
    compared: list[Line]
    left_out: dict[str, str]
    stability: float
    reason: str
    curve: str
    quality: Quality
    warnings: list[str]


class Scored(NamedTuple):
    """Results for N examples: probabilities (N, C), score (N,), higher = more likely wrong, and P(wrong) (N,)."""

    probs: np.ndarray
    score: np.ndarray
    p_wrong: np.ndarray


@dataclass(frozen=True)
class Bundle:
    content: Content
    arrays: Mapping[str, np.ndarray]

    def __call__(self, logits: np.ndarray, h: np.ndarray) -> Scored:
        """The picked method on an adapter's logits (N, C) and h (N, d)."""
        predictive, score = self._methods
        probs = softmax(logits) if predictive is None else predictive.apply(self.state("predictive"), logits)
        values = score.apply(self.content.variant, self.state("score"), probs, logits, h)
        return Scored(probs, values, Curve(self.arrays["p_wrong/x"], self.arrays["p_wrong/y"])(values))

    def state(self, of: str) -> dict[str, np.ndarray]:
        """The arrays of the "predictive" or the "score"."""
        return {name.partition("/")[2]: array for name, array in self.arrays.items() if name.startswith(f"{of}/")}

    def threshold(self, risk: float, confidence: float) -> float:
        """The score below which examples are answered: see `metrics.risk_control`."""
        error = self.arrays["held_out/error"].astype(bool)
        return answer_threshold(self.arrays["held_out/score"], error, risk, 1 - confidence)

    @cached_property
    def _methods(self) -> tuple[Any, Any]:
        known, content = methods(), self.content
        if content.score not in known.scores or content.predictive not in (POINT, *known.predictives):
            raise UserError(f"{JSON}: {content.predictive}/{content.score} is no method of this version; {REMEDY}")
        score = plugins.load(module(known.scores[content.score]), ExportedScore)
        if content.predictive == POINT:
            return None, score
        return plugins.load(module(known.predictives[content.predictive]), ExportedPredictive), score


def arrays(picked: Candidate, curve: Curve, part: str) -> dict[str, np.ndarray]:
    """All arrays of a bundle; `part`: the rows that only the curve was fitted on."""
    assert picked.state is not None and picked.source.state is not None
    found = {f"predictive/{name}": array for name, array in picked.source.state.items()}
    found |= {f"score/{name}": array for name, array in picked.state.items()}
    found |= {"p_wrong/x": curve.x, "p_wrong/y": curve.y, "held_out/score": picked.values[part]}
    return {**found, "held_out/error": picked.source.error(part).astype(np.uint8)}


def write(folder: Path, content: Mapping[str, Any], found: Mapping[str, np.ndarray]) -> Bundle:
    """Write a bundle into a folder; `content`: all of `Content` but the digest of the arrays."""
    files.write_arrays(folder / ARRAYS, found)
    whole = Content(**content, arrays=sha256(folder / ARRAYS))
    files.write_json(folder / JSON, whole.model_dump(mode="json"))
    return Bundle(whole, found)


def read(folder: Path) -> Bundle:
    """Raises `UserError` for a folder that is no bundle, a file that is not whole, and another version's."""
    if not folder.is_dir():
        raise UserError(f"--uq: there is no folder {folder}: make it with peftuq fit")
    found = json_object(folder / JSON, REMEDY, LARGEST)
    if found.get("format") != FORMAT:
        raise UserError(f"{folder / JSON}: is no bundle of format {FORMAT}; {REMEDY}")
    content = load.validate(Content, found, str(folder / JSON))
    try:
        digest = sha256(folder / ARRAYS)
    except OSError as error:
        raise UserError(f"{folder / ARRAYS}: {files.unreadable(error)}; {REMEDY}") from error
    if digest != content.arrays:
        raise UserError(f"{folder / ARRAYS}: is not the file that {JSON} describes; {REMEDY}")
    opened = files.ArrayFile(folder / ARRAYS)
    return Bundle(content, {name: opened[name] for name in opened.names})
