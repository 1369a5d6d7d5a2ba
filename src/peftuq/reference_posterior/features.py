"""Few inputs from many: standardised principal components."""

from typing import NamedTuple

import numpy as np

from peftuq.errors import UserError


class Components(NamedTuple):
    """`mean` (d,) and `axes` (d, k): `(h - mean) @ axes` has unit variance on the rows they were fitted to."""

    mean: np.ndarray
    axes: np.ndarray

    def __call__(self, h: np.ndarray) -> np.ndarray:
        """(N, k) float64, from h (N, d)."""
        return (h.astype(np.float64) - self.mean) @ self.axes


def principal_components(h: np.ndarray, k: int) -> Components:
    """The k largest of `h` (N, d), each with its largest loading positive; `UserError` if there are fewer."""
    h = h.astype(np.float64)
    mean = h.mean(axis=0)
    values, vectors = np.linalg.eigh(np.cov(h, rowvar=False, bias=True).reshape(h.shape[1], h.shape[1]))
    values, vectors = values[::-1], vectors[:, ::-1]
    found = int((values > 1e-9 * values[0]).sum())
    if k > found:
        raise UserError(f"gold.inputs: {k} principal components of features that have {found}: ask for fewer")
    largest = np.abs(vectors).argmax(axis=0)
    signs = np.sign(vectors[largest, np.arange(vectors.shape[1])])
    return Components(mean, (vectors * signs)[:, :k] / np.sqrt(values[:k]))
