"""A fitted posterior's predictions for every example, as a file: Gaussian logits under both prior precisions."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from peftuq.files import ArrayFile, write_arrays

PRIORS = ("marglik", "valid")  # how the prior's precision was chosen


@dataclass(frozen=True)
class GaussianLogits:
    """Logits ~ N(`f_mu`, `f_sigma`) of N examples, up to a shift that all options share: `f_sigma` is without it.

    `id`, `label` int64 (N,); `f_mu` float64 (N, C), -inf for missing options; `f_sigma`: prior → float64 (N, C, C).
    """

    id: np.ndarray
    label: np.ndarray
    f_mu: np.ndarray
    f_sigma: dict[str, np.ndarray]


def write(path: str | os.PathLike[str], parts: Mapping[str, GaussianLogits], facts: Mapping[str, object]) -> None:
    """Write by evaluation part; `facts` (JSON-able) hold the precisions, the evidence and the validation's NLLs."""
    arrays: dict[str, np.ndarray] = {}
    for part, gaussian in parts.items():
        arrays |= {f"{part}/{field}": getattr(gaussian, field) for field in ("id", "label", "f_mu")}
        arrays |= {f"{part}/f_sigma/{prior}": gaussian.f_sigma[prior] for prior in PRIORS}
    write_arrays(path, arrays, {"parts": json.dumps(list(parts)), "facts": json.dumps(dict(facts))})


class LaplaceFile:
    """The file, read lazily: `parts` names its evaluation parts, `[part]` reads one, `facts` are those of the fit."""

    def __init__(self, path: str | os.PathLike[str]):
        self._arrays = ArrayFile(path)
        self.parts: list[str] = json.loads(self._arrays.metadata["parts"])
        self.facts: dict[str, Any] = json.loads(self._arrays.metadata["facts"])

    def __getitem__(self, part: str) -> GaussianLogits:
        fields = {field: self._arrays[f"{part}/{field}"] for field in ("id", "label", "f_mu")}
        return GaussianLogits(**fields, f_sigma={prior: self._arrays[f"{part}/f_sigma/{prior}"] for prior in PRIORS})

    def ids(self, part: str) -> np.ndarray:
        """Numbers (N,) of a part's examples."""
        return self._arrays[f"{part}/id"]
