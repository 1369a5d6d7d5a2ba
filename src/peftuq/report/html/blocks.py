"""Columns as compressed text: what a page holds and a browser inflates only when it is looked at.

A block is zlib's stream in base64. Of numbers wider than a byte first the first bytes of all are stored, then the
second ones, and so on: neighbours in a column resemble each other byte by byte.
"""

import base64
import json
import zlib
from typing import Any

import numpy as np

Reference = list[Any]  # where a block begins and its length, in characters; of an array also its type

_MANTISSA = 23  # bits that a float32 stores


class Blocks:
    """Blocks in the order in which they were added: `text` is what the page holds, a reference finds one in it."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._length = 0

    @property
    def text(self) -> str:
        return "".join(self._parts)

    def add(self, content: bytes) -> Reference:
        part = base64.b64encode(zlib.compress(content, 9)).decode()
        self._parts.append(part)
        self._length += len(part)
        return [self._length - len(part), len(part)]

    def json(self, value: Any) -> Reference:
        return self.add(json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode())

    def floats(self, values: np.ndarray, bits: int) -> Reference:
        """An array of any shape in C order, as float32 rounded to `bits` of its 23 bits of mantissa."""
        return [*self.add(_planes(rounded(values, bits))), "f4"]

    def integers(self, values: np.ndarray) -> Reference:
        """Integers from -2³¹ on, in as few bytes as hold them all."""
        kind = next(k for k in ("i1", "i2", "i4") if np.array_equal(values.astype(k), values))
        return [*self.add(_planes(values.astype(f"<{kind}"))), kind]


def rounded(values: np.ndarray, bits: int) -> np.ndarray:
    """The nearest float32 whose mantissa ends in zeros after `bits` bits: a relative error of at most 2^-(bits + 1)."""
    drop = _MANTISSA - bits
    whole = np.ascontiguousarray(values, dtype="<f4").view("<u4").astype(np.uint64)
    kept = (whole + (1 << (drop - 1))) >> drop << drop
    return np.where(np.isfinite(values), kept, whole).astype("<u4").view("<f4")


def _planes(values: np.ndarray) -> bytes:
    flat = np.ascontiguousarray(values).reshape(-1)
    return flat.view(np.uint8).reshape(len(flat), flat.itemsize).T.tobytes()
