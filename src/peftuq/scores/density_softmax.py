"""Density softmax: the softmax response of logits that are scaled by how dense the training set is around z.

Bui and Liu (2024), Density-Softmax: p(y | x) = softmax(s(z) f(x)), s(z) in (0, 1] the density of z over the
largest of a training example's. Far from the training set all options become equally likely; the predicted class stays.

The density is a Gaussian mixture whose components are the training classes, with a common Ledoit-Wolf (2004)
covariance: closed form, the same numbers on every run, and defined for fewer examples than dimensions, where the
paper's normalising flow would have to be trained, and tuned, for every adapter.

Params
  density  "per_dimension": s is the geometric mean over z's d dimensions, exp((log p - max log p) / d). "joint": the
           paper's ratio itself, which in hundreds of dimensions is 0 in float64 for all but a few examples.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.linalg import cholesky, solve_triangular
from scipy.special import logsumexp
from sklearn.covariance import ledoit_wolf

from peftuq.artifacts import RecordFile, softmax
from peftuq.plugins import Score
from peftuq.representation import representation
from peftuq.scores.softmax import softmax_response

SCORE = Score(
    version=1,
    reads="records",
    needs=["train", "head"],
    params={"density": "per_dimension"},
    choices={"density": ["per_dimension", "joint"]},
    variants=["density_softmax"],
    probabilities=["density_softmax"],
)


class ClassMixture(NamedTuple):
    """Gaussian mixture: log shares (C',) and centroids (C', d) of the training classes, one Cholesky factor (d, d)."""

    log_shares: np.ndarray
    centroids: np.ndarray
    factor: np.ndarray

    def log_density(self, z: np.ndarray) -> np.ndarray:
        """Natural logarithm of the density (N,) at `z` (N, d)."""
        white, centres = (solve_triangular(self.factor, x.T, lower=True).T for x in (z, self.centroids))
        squared = np.stack([np.square(white - centre).sum(axis=1) for centre in centres], axis=1)
        constant = 0.5 * z.shape[1] * np.log(2 * np.pi) + np.log(np.diag(self.factor)).sum()
        return logsumexp(self.log_shares - 0.5 * squared, axis=1) - constant


def fit_mixture(z: np.ndarray, label: np.ndarray) -> ClassMixture:
    """Fit on training `z` float64 (N, d) and labels (N,). All rows equal within their classes: the identity for a
    covariance."""
    _, index, counts = np.unique(label, return_inverse=True, return_counts=True)
    centroids = np.stack([z[index == c].mean(axis=0) for c in range(len(counts))])
    covariance, _ = ledoit_wolf(z - centroids[index], assume_centered=True)
    if np.trace(covariance) <= 0:
        covariance = np.eye(z.shape[1])
    return ClassMixture(np.log(counts / len(z)), centroids, cholesky(covariance, lower=True))


def scale(log_density: np.ndarray, highest: float, dimensions: int) -> np.ndarray:
    """s (N,) in [0, 1] by log densities (N,) and the highest of a training example; 1 where none was as dense."""
    return np.exp(np.minimum(log_density - highest, 0.0) / dimensions)


def score(
    inputs: RecordFile, evals: Sequence[str], params: Mapping[str, Any], seed: int
) -> tuple[dict[str, dict[str, np.ndarray]], dict[str, Any]]:
    """1 - max_c p_c (N,) on every evaluation set; nothing is random. Diagnostics: the mean of s by evaluation set."""
    head, train = inputs.head, inputs["train"]
    z = representation(head, train)
    mixture = fit_mixture(z, train.label)
    highest = float(mixture.log_density(z).max())
    dimensions = z.shape[1] if params["density"] == "per_dimension" else 1
    scores, means = {}, {}
    for part in evals:
        record = inputs[part]
        s = scale(mixture.log_density(representation(head, record)), highest, dimensions)
        missing = np.isneginf(record.logits)  # and stays so where s is 0
        logits = np.where(missing, -np.inf, np.where(missing, 0.0, record.logits) * s[:, None])
        scores[part] = softmax_response(softmax(logits))
        means[part] = float(s.mean())
    return {"density_softmax": scores}, {"mean_scale": means}
