"""The comparison as a file: predictions of the exact posterior and of each approximation for every example."""

import json
import os
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from peftuq.files import ArrayFile, canonical, write_arrays

EXACT = "hmc"


class Predictions(NamedTuple):
    """One evaluation set by R repetitions of a method: `probs` (R, N, C), their members averaged; `mi` (R, N)."""

    probs: np.ndarray
    mi: np.ndarray


def write(path: str | os.PathLike, parts: Mapping[str, Mapping[str, Predictions]], facts: Mapping[str, object]) -> None:
    """Write by evaluation set and method, `EXACT` among them; `facts` (JSON-able) say how it was computed."""
    arrays = {
        f"{part}/{method}/{field}": array
        for part, methods in parts.items()
        for method, predictions in methods.items()
        for field, array in predictions._asdict().items()
    }
    methods = list(next(iter(parts.values())))
    described = {"parts": list(parts), "methods": methods, "facts": dict(facts)}
    write_arrays(path, arrays, {"comparison": canonical(described)})


class PosteriorFile:
    """The file, read lazily: `parts` and `methods` name what `predictions` reads, `facts` are those it was given."""

    def __init__(self, path: str | os.PathLike):
        self._arrays = ArrayFile(path)
        described = json.loads(self._arrays.metadata["comparison"])
        self.parts: list[str] = described["parts"]
        self.methods: list[str] = described["methods"]
        self.facts: dict = described["facts"]

    def predictions(self, part: str, method: str) -> Predictions:
        return Predictions(*(self._arrays[f"{part}/{method}/{field}"] for field in Predictions._fields))
