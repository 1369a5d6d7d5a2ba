"""Artifacts that the jobs of the workflow hand to each other, by name and type; the formats are in files.py.

task → (recipe) adapter → `Record` → (predictive) `Samples` → (method) `Scores` → metrics.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from peftuq import labels
from peftuq.files import ArrayFile, canonical, read_columns, write_arrays, write_columns

# -- records ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Record:
    """Outputs of one adapter for N examples.

    `id` int64 (N,); `label` int64 (N,), values in [0, C), or UNLABELLED in all; `logits` float32 (N, C), -inf where a
    question has fewer options than C; `h` float32 (N, d), the input of the head (None in an epoch's records);
    `answer_mass` float32 (N,) in [0, 1], choice tasks only; `flu` float32 (N, L, 2), mixtures of experts only: top-K
    router mass per block, mean over the prompt's tokens and at its last token.
    """

    id: np.ndarray
    label: np.ndarray
    logits: np.ndarray
    h: np.ndarray | None
    answer_mass: np.ndarray | None = None
    flu: np.ndarray | None = None


@dataclass(frozen=True)
class Head:
    """The layers from h to the logits, as the adapter was saved.

    logits = z @ out_weight.T + out_bias with z = activation(h @ dense_weight.T + dense_bias), or z = h where
    there is no dense layer. `out_weight` (C, d); `dense_weight` (d, d); `activation` "tanh", "gelu" or "".
    """

    out_weight: np.ndarray
    out_bias: np.ndarray | None = None
    dense_weight: np.ndarray | None = None
    dense_bias: np.ndarray | None = None
    activation: str = ""

    def representation(self, h: np.ndarray) -> np.ndarray:
        """z (N, d) in float64: what the head's last linear layer sees."""
        h = h.astype(np.float64)
        if self.dense_weight is None:
            return h
        pre = h @ self.dense_weight.T.astype(np.float64)
        if self.dense_bias is not None:
            pre += self.dense_bias
        if self.activation == "tanh":
            return np.tanh(pre)
        from scipy.special import ndtr

        return pre * ndtr(pre)


_RECORD_FIELDS = ("id", "label", "logits", "h", "answer_mass", "flu")
_HEAD_FIELDS = ("out_weight", "out_bias", "dense_weight", "dense_bias")


def write_records(
    path: str | os.PathLike[str], records: Mapping[str, Record], head: Head | None, metadata: Mapping[str, str] = {}
) -> None:
    """Write an adapter's records by part ("train", "valid", "test", or the name of a shift set) and its head.

    Predictions of other programs have neither `h` nor head.
    """
    arrays = {
        f"{part}/{field}": getattr(record, field)
        for part, record in records.items()
        for field in _RECORD_FIELDS
        if getattr(record, field) is not None
    }
    arrays |= {f"head/{f}": array for f in _HEAD_FIELDS if (array := getattr(head, f, None)) is not None}
    activation = head.activation if head is not None else ""
    write_arrays(path, arrays, {**metadata, "activation": activation, "parts": json.dumps(list(records))})


class RecordFile:
    """An adapter's records: `parts` names them, `[part]` reads one, `head` is the head they came through."""

    def __init__(self, path: str | os.PathLike[str]):
        self._arrays = ArrayFile(path)
        self.metadata = self._arrays.metadata
        self.parts: list[str] = json.loads(self.metadata["parts"])

    def __getitem__(self, part: str) -> Record:
        fields: dict[str, Any] = {field: self._arrays.get(f"{part}/{field}") for field in _RECORD_FIELDS}
        return Record(**fields)

    def ids(self, part: str) -> np.ndarray:
        """Numbers (N,) of a part's examples."""
        return self._arrays[f"{part}/id"]

    @property
    def head(self) -> Head:
        arrays: dict[str, Any] = {field: self._arrays.get(f"head/{field}") for field in _HEAD_FIELDS}
        return Head(**arrays, activation=self.metadata["activation"])


# -- records of every epoch -----------------------------------------------------------------------------


def write_epochs(path: str | os.PathLike[str], epochs: Sequence[Mapping[str, Record]]) -> None:
    """Write what one training's model said after each epoch, by part; the representations are not kept."""
    arrays = {
        f"{epoch}/{part}/{field}": getattr(record, field)
        for epoch, records in enumerate(epochs, start=1)
        for part, record in records.items()
        for field in ("id", "label", "logits", "answer_mass")
        if getattr(record, field) is not None
    }
    write_arrays(path, arrays, {"epochs": str(len(epochs)), "parts": json.dumps(list(epochs[0]))})


class EpochFile:
    """A training's epochs, counted from 1: `parts` names what was recorded after each."""

    def __init__(self, path: str | os.PathLike[str]):
        self._arrays = ArrayFile(path)
        self.epochs = int(self._arrays.metadata["epochs"])
        self.parts: list[str] = json.loads(self._arrays.metadata["parts"])

    def record(self, epoch: int, part: str) -> Record:
        """The model's record after an epoch, without h."""
        fields: dict[str, Any] = {field: self._arrays.get(f"{epoch}/{part}/{field}") for field in _RECORD_FIELDS}
        return Record(**fields)

    def ids(self, part: str) -> np.ndarray:
        """Numbers (N,) of a part's examples."""
        return self._arrays[f"1/{part}/id"]

    def samples(self, epoch: int, part: str) -> "Samples":
        """The predictive distribution after an epoch (M = 1)."""
        record = self.record(epoch, part)
        return Samples(record.id, record.label, softmax(record.logits)[None])


# -- samples ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Samples:
    """M predictive distributions over N examples: `probs` float64 (M, N, C), `label` and `id` int64 (N,)."""

    id: np.ndarray
    label: np.ndarray
    probs: np.ndarray

    @property
    def labelled(self) -> bool:
        return labels.are_known(self.label)

    @property
    def errors(self) -> list[bool | None]:
        """For each example whether the most probable option is not the label; None without a label."""
        if not self.labelled:
            return [None] * len(self.label)
        wrong: list[bool | None] = (self.mean.argmax(axis=1) != self.label).tolist()
        return wrong

    @property
    def mean(self) -> np.ndarray:
        """The predictive distribution (N, C): probabilities are averaged, never logits."""
        return self.probs.mean(axis=0)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Softmax over the last axis in float64; -inf logits get probability 0."""
    shifted = logits.astype(np.float64)
    shifted = np.exp(shifted - shifted.max(axis=-1, keepdims=True))
    return shifted / shifted.sum(axis=-1, keepdims=True)


def write_samples(
    path: str | os.PathLike[str], samples: Mapping[str, Samples], metadata: Mapping[str, str] = {}
) -> None:
    """Write samples by eval set ("test", or the name of a shift set)."""
    arrays = {f"{part}/{f}": getattr(s, f) for part, s in samples.items() for f in ("id", "label", "probs")}
    write_arrays(path, arrays, {**metadata, "parts": json.dumps(list(samples))})


class SampleFile:
    """Samples by eval set, from a samples file or (M = 1) straight from an adapter's records."""

    def __init__(self, path: str | os.PathLike[str]):
        self._arrays = ArrayFile(path)
        self.metadata = self._arrays.metadata
        self.parts: list[str] = json.loads(self.metadata["parts"])

    def __getitem__(self, part: str) -> Samples:
        probs = self._arrays.get(f"{part}/probs")
        if probs is None:
            probs = softmax(self._arrays[f"{part}/logits"])[None]
        return Samples(self._arrays[f"{part}/id"], self._arrays[f"{part}/label"], probs)

    def ids(self, part: str) -> np.ndarray:
        """Ids (N,) of a part's examples."""
        found: np.ndarray = self._arrays[f"{part}/id"]
        return found

    def answer_mass(self, part: str) -> np.ndarray | None:
        """Probability (N,) that the whole vocabulary gives to the answer tokens; of an adapter's records only."""
        return self._arrays.get(f"{part}/answer_mass")


# -- scores -------------------------------------------------------------------------------------------


def write_scores(path: str | os.PathLike[str], columns: Mapping[str, Any], diagnostics: Mapping[str, Any]) -> None:
    """Write a method's scores: `eval`, `id`, `error` (None without a label), then one float column a variant."""
    write_columns(path, columns, {"diagnostics": canonical(diagnostics)})


@dataclass(frozen=True)
class Scores:
    """One method's scores on all evaluation sets: `eval` (N,) str, `error` (N,) bool, `variants` name → (N,).

    `error` is masked where an example has no label; on a set that has labels it is a plain array.
    """

    eval: np.ndarray
    id: np.ndarray
    error: np.ndarray
    variants: dict[str, np.ndarray]
    diagnostics: dict[str, Any]

    @property
    def labelled(self) -> bool:
        return not np.ma.getmaskarray(self.error).any()

    def on(self, part: str) -> "Scores":
        rows = self.eval == part
        variants = {name: values[rows] for name, values in self.variants.items()}
        error = self.error[rows]
        known = not np.ma.getmaskarray(error).any()
        return Scores(self.eval[rows], self.id[rows], np.asarray(error) if known else error, variants, self.diagnostics)


def read_scores(path: str | os.PathLike[str]) -> Scores:
    import pyarrow.parquet as pq

    columns = read_columns(path)
    fixed = {name: np.asarray(columns.pop(name)) for name in ("eval", "id", "error")}
    if fixed["error"].dtype == object:  # with nulls
        unknown = np.array([value is None for value in fixed["error"]])
        fixed["error"] = np.ma.MaskedArray(fixed["error"].astype(bool), unknown)
    diagnostics = json.loads(pq.read_schema(path).metadata[b"diagnostics"])
    return Scores(**fixed, variants=columns, diagnostics=diagnostics)
