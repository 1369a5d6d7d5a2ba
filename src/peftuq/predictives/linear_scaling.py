"""Common part of vector and matrix scaling: inputs without gaps, and the maximum of a regularised likelihood."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize

from peftuq.artifacts import RecordFile, Samples, softmax


class Options(NamedTuple):
    """Logits float64 (N, C), where an option is missing the mean of the example's others, and `missing` bool (N, C)."""

    logits: np.ndarray
    missing: np.ndarray

    @classmethod
    def of(cls, logits: np.ndarray) -> "Options":
        missing = np.isneginf(logits)
        known = np.where(missing, 0.0, logits.astype(np.float64))
        mean = known.sum(axis=1, keepdims=True) / (~missing).sum(axis=1, keepdims=True)
        return cls(np.where(missing, mean, known), missing)

    def of_rows(self, rows: np.ndarray) -> "Options":
        return Options(self.logits[rows], self.missing[rows])

    def softmax(self, scaled: np.ndarray) -> np.ndarray:
        """Probabilities (N, C) of scaled logits (N, C), 0 where an option is missing."""
        return softmax(np.where(self.missing, -np.inf, scaled))


class Affine(NamedTuple):
    """f ↦ W f + b: `weight` (C, C) and `bias` (C,)."""

    weight: np.ndarray
    bias: np.ndarray

    def probabilities(self, options: Options) -> np.ndarray:
        """(N, C)."""
        return options.softmax(options.logits @ self.weight.T + self.bias)

    def nll(self, options: Options, label: np.ndarray) -> float:
        """Mean over examples, nats."""
        probs = self.probabilities(options)[np.arange(len(label)), label]
        return float(-np.log(probs.clip(np.finfo(np.float64).tiny)).mean())


def fit_affine(
    options: Options, label: np.ndarray, diagonal: bool, off_diagonal: float, bias: float, limit: float
) -> Affine:
    """The W and b within ± `limit` that minimise NLL + `off_diagonal` · mean_{i≠j} w_ij² + `bias` · mean b².

    Convex. `diagonal`: w_ij = 0 off the diagonal. The search starts at the identity.
    """
    n, classes = options.logits.shape
    free = np.eye(classes, dtype=bool) if diagonal else np.ones((classes, classes), dtype=bool)
    outside = ~np.eye(classes, dtype=bool)
    pairs, one_hot = max(1, classes * (classes - 1)), np.eye(classes)[label]

    def unpack(theta: np.ndarray) -> Affine:
        weight = np.zeros((classes, classes))
        weight[free] = theta[:-classes]
        return Affine(weight, theta[-classes:])

    def objective(theta: np.ndarray) -> tuple[float, np.ndarray]:
        at = unpack(theta)
        residual = (at.probabilities(options) - one_hot) / n
        off = np.where(outside, at.weight, 0.0)
        value = at.nll(options, label) + off_diagonal * (off**2).sum() / pairs + bias * (at.bias**2).mean()
        slope = residual.T @ options.logits + 2 * off_diagonal * off / pairs
        return value, np.concatenate([slope[free], residual.sum(axis=0) + 2 * bias * at.bias / classes])

    start = np.concatenate([np.eye(classes)[free], np.zeros(classes)])
    search = {"maxiter": 5000, "maxfun": 10_000, "ftol": 1e-13, "gtol": 1e-7}
    found = minimize(
        objective, start, jac=True, method="L-BFGS-B", bounds=[(-limit, limit)] * len(start), options=search
    )
    return unpack(found.x)


def sampled(
    record: RecordFile, evals: Sequence[str], probabilities: Callable[[Options], np.ndarray]
) -> dict[str, Samples]:
    """Samples (M = 1) of an adapter by evaluation set."""
    samples = {}
    for part in evals:
        of = record[part]
        samples[part] = Samples(of.id, of.label, probabilities(Options.of(of.logits))[None])
    return samples


def apply(state: Mapping[str, np.ndarray], logits: np.ndarray) -> np.ndarray:
    missing = np.isneginf(logits)
    known = np.where(missing, 0.0, logits.astype(np.float64))
    mean = known.sum(axis=1, keepdims=True) / (~missing).sum(axis=1, keepdims=True)
    scaled = np.where(missing, mean, known) @ state["weight"].T + state["bias"]
    scaled = np.where(missing, -np.inf, scaled)
    p = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return p / p.sum(axis=1, keepdims=True)
