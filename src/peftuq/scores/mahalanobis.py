"""Mahalanobis distance (MD) and relative Mahalanobis distance (RMD) to the classes of the training set.

MD: Lee et al. (2018), AdUE paper eq. 2. RMD: Ren et al. (2021), AdUE paper B.2. Distances are squared. Both
covariances are the maximum-likelihood ones (divided by the N of the training set), in float64. RMD uses the
shared class covariance, as Ren et al. do; the paper's B.2 writes one covariance a class.

Params
  inverse        what stands for the inverse of a covariance that may be singular:
                 "pinv": the inverse within the span of the training data. A direction in which no training
                 example varies counts for nothing, however far an example lies along it.
                 "shrinkage": the inverse of the Ledoit-Wolf (2004) estimate, which every direction counts in.
  spectral_norm  "none", or "posthoc": the head's dense weight divided by its largest singular value
                 (AdUE paper B.1). A head without a dense layer has nothing to normalise and stays as it is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import LinAlgError, cholesky, eigh
from scipy.linalg.lapack import dpocon, dtrtri

from peftuq.artifacts import RecordFile
from peftuq.errors import UserError
from peftuq.plugins import Score
from peftuq.representation import (
    NORMALISATIONS,
    head_state,
    representation,
    spectrally_normalised,
    stored_representation,
)

SCORE = Score(
    version=1,
    needs=["train", "head"],
    reads="records",
    params={"inverse": "pinv", "spectral_norm": "none"},
    choices={"inverse": ["pinv", "shrinkage"], "spectral_norm": ["none", "posthoc"]},
    variants=["md", "md_l2", "rmd", "rmd_l2"],
)

# Eigenvalues below this share of the largest are noise: the float64 rounding of a covariance reaches
# d * 2e-16 = 9e-13 at d = 4096, a linear dependence blurred by h's float32 reaches (6e-8)^2 = 4e-15.
EIGENVALUE_TOLERANCE = 1e-12


def ledoit_wolf(covariance: np.ndarray, deviations: np.ndarray) -> np.ndarray:
    """Ledoit-Wolf (2004) shrinkage of `covariance` (d, d) = XᵀX/N towards its mean variance times identity.

    `deviations` (N,) are the squared lengths of the rows of X, the centred data.
    """
    d, n = len(covariance), len(deviations)
    variance = np.trace(covariance) / d
    squared = np.square(covariance).sum()
    error = (np.square(deviations).mean() - squared) / n
    spread = squared - d * variance**2
    intensity = min(error, spread) / spread if error > 0 and spread > 0 else 0.0
    return (1 - intensity) * covariance + intensity * variance * np.eye(d)


def whitening(covariance: np.ndarray) -> np.ndarray:
    """W (d, k) with W Wᵀ = pseudo-inverse of `covariance` (d, d), k its numerical rank: MD = ‖(z - μ) W‖²."""
    try:
        factor = cholesky(covariance, lower=True)
        condition, _ = dpocon(factor, np.abs(covariance).sum(axis=0).max(), uplo="L")
        # 1-norm condition bounds the ratio of extreme eigenvalues: no eigenvalue would be dropped below.
        if condition > EIGENVALUE_TOLERANCE:
            return dtrtri(factor, lower=1)[0].T
    except LinAlgError:
        pass
    values, vectors = eigh(covariance, driver="evd")
    kept = values > EIGENVALUE_TOLERANCE * values[-1]
    return vectors[:, kept] / np.sqrt(values[kept])


@dataclass(frozen=True)
class ClassGaussians:
    """Gaussians of one covariance around every class, and one around everything.

    `centroids` (C', d) and `classes` (C',) of the classes that training data has; `mean` (d,) of all of it;
    `within` (d, k) whitens the classes' shared covariance, `background` (d, k0) the total one.
    """

    classes: np.ndarray
    centroids: np.ndarray
    mean: np.ndarray
    within: np.ndarray
    background: np.ndarray

    def md(self, z: np.ndarray) -> np.ndarray:
        """Squared distance of `z` (N, d) to the nearest centroid, (N,); >= 0."""
        whitened = (z - self.mean) @ self.within
        nearest = np.full(len(z), np.inf)
        for centroid in (self.centroids - self.mean) @ self.within:
            nearest = np.minimum(nearest, np.square(whitened - centroid).sum(axis=1))
        return nearest

    def md0(self, z: np.ndarray) -> np.ndarray:
        """Squared distance of `z` (N, d) to the background Gaussian, (N,); >= 0."""
        return np.square((z - self.mean) @ self.background).sum(axis=1)


def fit_class_gaussians(z: np.ndarray, label: np.ndarray, inverse: str) -> ClassGaussians:
    """Fit on training `z` float64 (N, d) and labels (N,); `UserError` for an unknown `inverse`."""
    if inverse not in ("pinv", "shrinkage"):
        raise UserError(f"config: methods.mahalanobis.inverse: {inverse!r} is unknown; use pinv or shrinkage")
    classes, index, counts = np.unique(label, return_inverse=True, return_counts=True)
    centroids = np.stack([z[index == c].mean(axis=0) for c in range(len(classes))])
    mean = z.mean(axis=0)
    residual = z - centroids[index]
    within = residual.T @ residual / len(z)
    # Total = within + between covariance: no second pass over the rows, and no cancellation.
    between = (centroids - mean) * np.sqrt(counts / len(z))[:, None]
    background = within + between.T @ between
    if inverse == "shrinkage":
        within = ledoit_wolf(within, np.square(residual).sum(axis=1))
        background = ledoit_wolf(background, np.square(z - mean).sum(axis=1))
    return ClassGaussians(classes, centroids, mean, whitening(within), whitening(background))


def score(
    inputs: RecordFile, evals: Sequence[str], params: Mapping[str, Any], seed: int
) -> tuple[dict[str, dict[str, np.ndarray]], dict[str, Any]]:
    """Every variant on every eval set, each (N,); nothing is random, so `seed` is not used.

    Diagnostics: the rank of both covariances and the classes that have a centroid, by normalisation of z.
    """
    params = {**SCORE.params, **params}
    head = spectrally_normalised(inputs.head, params["spectral_norm"])
    scores: dict[str, dict[str, np.ndarray]] = {name: {} for name in SCORE.variants}
    diagnostics: dict[str, Any] = {}
    for suffix, normalise in NORMALISATIONS.items():
        train = inputs["train"]
        fitted = fit_class_gaussians(normalise(representation(head, train)), train.label, params["inverse"])
        diagnostics[f"md{suffix}"] = {
            "rank": fitted.within.shape[1],
            "background_rank": fitted.background.shape[1],
            "classes": fitted.classes.tolist(),
        }
        for part in evals:
            z = normalise(representation(head, inputs[part]))
            md = fitted.md(z)
            scores[f"md{suffix}"][part] = md
            scores[f"rmd{suffix}"][part] = md - fitted.md0(z)
    return scores, diagnostics


def fit_state(inputs: RecordFile, params: Mapping[str, Any], seed: int) -> dict[str, dict[str, np.ndarray]]:
    head, train = spectrally_normalised(inputs.head, params["spectral_norm"]), inputs["train"]
    states: dict[str, dict[str, np.ndarray]] = {}
    for suffix, normalise in NORMALISATIONS.items():
        fitted = fit_class_gaussians(normalise(representation(head, train)), train.label, params["inverse"])
        centroids = (fitted.centroids - fitted.mean) @ fitted.within
        md = {**head_state(head), "mean": fitted.mean, "within": fitted.within, "centroids": centroids}
        states[f"md{suffix}"], states[f"rmd{suffix}"] = md, {**md, "background": fitted.background}
    return states


def apply(
    variant: str, state: Mapping[str, np.ndarray], probs: np.ndarray, logits: np.ndarray, h: np.ndarray
) -> np.ndarray:
    centred = stored_representation(state, h, unit=variant.endswith("_l2")) - state["mean"]
    white = centred @ state["within"]
    nearest = np.min([np.square(white - centroid).sum(axis=1) for centroid in state["centroids"]], axis=0)
    if "background" in state:
        nearest -= np.square(centred @ state["background"]).sum(axis=1)
    return nearest
