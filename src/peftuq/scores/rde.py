"""Robust density estimation (RDE): kernel PCA, then the robust distance to the nearest training class.

Yoo et al. (2022); AdUE paper B.3. The kernel is RBF with gamma = 1/d (scikit-learn's default, and what Yoo
et al.'s code sets). A class is described by its Minimum Covariance Determinant (MCD; Rousseeuw, 1984)
location and covariance; the score is the smallest squared distance. Directions outside the kept components
count for nothing.

Params
  components          kernel principal components: 100 (Yoo et al.) or 256; fewer where the data have fewer.
  kernel_pca          how the N x N kernel matrix is avoided. "subsample": the components of `kpca_rows` rows.
                      "nystroem": the components of all rows, seen through their kernel values to `kpca_rows`
                      rows (Williams and Seeger, 2001). The same thing when N <= `kpca_rows`.
  kpca_rows           rows drawn, each class by its share. Vazhentsev et al.'s (2022) code has 5000: ten times
                      the run time, and no more change of the ranking than between two draws.
  mcd_rows            at most so many rows of a class describe it, drawn at random: a bound on run time.
  rows_per_component  a class with fewer rows a component has no MCD (`fit_class` says what it has instead).
  spectral_norm       as in mahalanobis.py.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np
from scipy.linalg import LinAlgError, cholesky, eigh, eigvalsh, inv
from scipy.linalg.lapack import dtrtri
from scipy.stats import chi2
from sklearn.covariance import oas
from sklearn.metrics.pairwise import rbf_kernel

from peftuq.artifacts import RecordFile
from peftuq.errors import UserError
from peftuq.plugins import Score
from peftuq.representation import NORMALISATIONS, representation, spectrally_normalised

SCORE = Score(
    version=1,
    needs=["train", "head"],
    reads="records",
    params={
        "components": 100,
        "kernel_pca": "subsample",
        "kpca_rows": 2000,
        "mcd_rows": 5000,
        "rows_per_component": 2.0,
        "spectral_norm": "none",
    },
    bounds={
        "components": (1, 10_000),
        "kpca_rows": (2, 100_000),
        "mcd_rows": (2, None),
        "rows_per_component": (0, None),
    },
    choices={"kernel_pca": ["subsample", "nystroem"], "spectral_norm": ["none", "posthoc"]},
    variants=["rde", "rde_l2"],
)

BLOCK = 4096
# Kernel values are near 1 and carry float64 rounding: a component that explains less than this is rounding.
KERNEL_TOLERANCE = 1e-12
# The same for a class's variance along a direction in which the classes' common variance is 1.
VARIANCE_TOLERANCE = 1e-10
# FastMCD's (Rousseeuw and Van Driessen, 1999) numbers as scikit-learn has them for sets of this size.
START_ROWS = 500
STARTS, FINALISTS = 30, 10
# Rows within this chi-squared quantile of the MCD re-enter (Rousseeuw and Van Driessen, 1999, step 7).
REWEIGHTING_QUANTILE = 0.975


# -- kernel PCA ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class KernelPCA:
    """Principal components in the feature space of the RBF kernel, gamma = 1/d.

    A row's scores are (k - `kernel_mean`) @ `projection`, k its kernel values to the `landmarks`; shapes
    (n,), (n, p), (n, d). p is 0 if all training rows coincide. Scores have variance 1 over the rows fitted.
    """

    landmarks: np.ndarray
    kernel_mean: np.ndarray
    projection: np.ndarray

    def transform(self, z: np.ndarray) -> np.ndarray:
        """Scores (N, p) of `z` (N, d)."""
        kernels = _kernel_blocks(z, self.landmarks)
        return np.concatenate([(kernel - self.kernel_mean) @ self.projection for kernel in kernels])


def _kernel_blocks(z: np.ndarray, landmarks: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(z), BLOCK):
        yield rbf_kernel(z[start : start + BLOCK], landmarks, gamma=1 / z.shape[1])


def fit_kernel_pca(
    z: np.ndarray, label: np.ndarray, components: int, method: str, rows: int, rng: np.random.Generator
) -> KernelPCA:
    """Fit on training `z` (N, d) with `rows` landmarks; `UserError` for an unknown `method`."""
    if method not in ("subsample", "nystroem"):
        raise UserError(f"config: methods.rde.kernel_pca: {method!r} is unknown; use subsample or nystroem")
    landmarks = z[stratified_rows(label, rows, rng)]
    if method == "subsample" or len(landmarks) == len(z):
        return subsample_components(landmarks, components)
    return nystroem_components(landmarks, z, components)


def stratified_rows(label: np.ndarray, rows: int, rng: np.random.Generator) -> np.ndarray:
    """Indices of `rows` of the N examples (of all, if fewer), every class's share kept to within one row."""
    if len(label) <= rows:
        return np.arange(len(label))
    shuffled = rng.permutation(len(label))
    by_class = shuffled[np.argsort(label[shuffled], kind="stable")]
    return by_class[np.arange(rows) * len(label) // rows]


def _leading(matrix: np.ndarray, components: int, tolerance: float) -> tuple[np.ndarray, np.ndarray]:
    """The largest eigenvalues above `tolerance`, at most `components`, and their vectors."""
    n = len(matrix)
    values, vectors = eigh(matrix, subset_by_index=[max(n - components, 0), n - 1])
    return values[values > tolerance], vectors[:, values > tolerance]


def subsample_components(landmarks: np.ndarray, components: int) -> KernelPCA:
    """Kernel PCA of the `landmarks` (n, d) alone: the eigenvectors of the centred kernel matrix."""
    n = len(landmarks)
    gram = rbf_kernel(landmarks, gamma=1 / landmarks.shape[1])
    mean = gram.mean(axis=0)
    gram += mean.mean() - mean - mean[:, None]
    values, vectors = _leading(gram, components, KERNEL_TOLERANCE * n)
    return KernelPCA(landmarks, mean, vectors * (np.sqrt(n) / values))


def nystroem_components(landmarks: np.ndarray, z: np.ndarray, components: int) -> KernelPCA:
    """Kernel PCA of all rows of `z` (N, d) within the span of the `landmarks` (n, d): O(n²) memory."""
    n = len(landmarks)
    values, vectors = _leading(rbf_kernel(landmarks, gamma=1 / z.shape[1]), n, KERNEL_TOLERANCE * n)
    features = vectors / np.sqrt(values)
    mean = sum(k.sum(axis=0) for k in _kernel_blocks(z, landmarks)) / len(z)
    covariance = np.zeros((len(values), len(values)))
    for k in _kernel_blocks(z, landmarks):
        block = (k - mean) @ features
        covariance += block.T @ block / len(z)
    variances, axes = _leading(covariance, components, KERNEL_TOLERANCE)
    return KernelPCA(landmarks, mean, features @ (axes / np.sqrt(variances)))


# -- one class ----------------------------------------------------------------------------------------


class Gaussian(NamedTuple):
    """`location` (p,) and `covariance` (p, p)."""

    location: np.ndarray
    covariance: np.ndarray

    @classmethod
    def of(cls, x: np.ndarray) -> "Gaussian":
        """Mean of the rows of `x` (n, p), and their covariance divided by n."""
        location = x.mean(axis=0)
        return cls(location, (x - location).T @ (x - location) / len(x))

    @property
    def log_determinant(self) -> float:
        return np.linalg.slogdet(self.covariance)[1]

    def is_definite(self) -> bool:
        return bool(eigvalsh(self.covariance)[0] > VARIANCE_TOLERANCE)

    def squared_distance(self, x: np.ndarray) -> np.ndarray:
        """(x - location)ᵀ covariance⁻¹ (x - location), (N,), of `x` (N, p); `LinAlgError` if singular."""
        inverse_factor, _ = dtrtri(cholesky(self.covariance, lower=True), lower=1)
        return np.square((x - self.location) @ inverse_factor.T).sum(axis=1)


def support_size(n: int, p: int) -> int:
    """How many of n rows MCD looks for at its highest breakdown value: ceil((n + p + 1) / 2)."""
    return min((n + p + 2) // 2, n)


def consistency(quantile: float, p: int) -> float:
    """Consistency factor for the covariance of the `quantile` innermost rows of p-variate normal data.

    Croux and Haesbroeck (1999).
    """
    return quantile / chi2.cdf(chi2.ppf(quantile, p), p + 2)


def concentrate(x: np.ndarray, start: Gaussian, steps: float = np.inf) -> Gaussian:
    """At most `steps` C-steps on `x` (n, p): the rows nearest to one Gaussian make the next.

    The determinant falls until it stays (Rousseeuw and Van Driessen, 1999, theorem 1). `LinAlgError` if half
    of the rows lie on a hyperplane.
    """
    best, determinant, size = start, np.inf, support_size(*x.shape)
    while steps > 0:
        step = Gaussian.of(x[np.argpartition(best.squared_distance(x), size - 1)[:size]])
        if step.log_determinant >= determinant:
            break
        best, determinant, steps = step, step.log_determinant, steps - 1
    return best


def fit_mcd(x: np.ndarray, rng: np.random.Generator) -> Gaussian:
    """Reweighted MCD of `x` (n, p); `LinAlgError` if it is degenerate.

    Up to 500 rows the FastMCD of scikit-learn's MinCovDet: 30 random supports, two C-steps each, the ten best
    to their end. More rows start from the MCD of 500 of them (Rousseeuw and Van Driessen, 1999, section 3.3),
    where MinCovDet takes 500 supports. A C-step costs a Cholesky factor, not an eigendecomposition.
    """
    n, p = x.shape
    few = x if n <= START_ROWS else x[rng.permutation(n)[:START_ROWS]]
    supports = [rng.permutation(len(few))[: support_size(len(few), p)] for _ in range(STARTS)]
    determinant = attrgetter("log_determinant")
    starts = sorted((concentrate(few, Gaussian.of(few[s]), steps=2) for s in supports), key=determinant)
    best = min((concentrate(few, start) for start in starts[:FINALISTS]), key=determinant)
    if n > START_ROWS:
        best = concentrate(x, best)
    distance = best.squared_distance(x) / consistency(support_size(n, p) / n, p)
    reweighted = Gaussian.of(x[distance < chi2.ppf(REWEIGHTING_QUANTILE, p)])
    return Gaussian(reweighted.location, reweighted.covariance * consistency(REWEIGHTING_QUANTILE, p))


def fit_class(x: np.ndarray, rows_per_component: float, rng: np.random.Generator) -> tuple[str, Gaussian]:
    """Estimator and estimate of a class from its scores `x` (n, p).

    "mcd" if there are `rows_per_component` * p rows and neither they nor the half that MCD picks lie on a
    hyperplane; else "oas", their mean and unbiased covariance shrunk towards a multiple of the identity (Chen
    et al., 2010; Ledoit and Wolf's shrinkage of two rows is none); else (one distinct row) "pooled", that row
    with the identity, which is the classes' common covariance in these coordinates.
    """
    n, p = x.shape
    plain = Gaussian.of(x)
    if n >= rows_per_component * p:
        with contextlib.suppress(LinAlgError):
            robust = fit_mcd(x, rng)
            if robust.is_definite():
                return "mcd", robust
    if np.trace(plain.covariance) > VARIANCE_TOLERANCE * p:
        return "oas", Gaussian(plain.location, oas(x)[0] * n / (n - 1))
    return "pooled", Gaussian(plain.location, np.eye(p))


# -- all classes --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class RobustDensity:
    """Kernel PCA and, by label, the estimator and estimate of every class among its scores."""

    pca: KernelPCA
    classes: dict[int, tuple[str, Gaussian]]

    def distance(self, z: np.ndarray) -> np.ndarray:
        """Squared distance (N,) of `z` (N, d) to the nearest class; 0 if there is no component."""
        x = self.pca.transform(z)
        if x.shape[1] == 0:
            return np.zeros(len(x))
        return np.min([gaussian.squared_distance(x) for _, gaussian in self.classes.values()], axis=0)


def pooled_whitening(x: np.ndarray, index: np.ndarray) -> np.ndarray:
    """(p, p) that gives the classes' common covariance of `x` (n, p) the identity; `index` (n,) is the class.

    MCD is affine equivariant and does not see it but for rounding; the fallbacks shrink towards it.
    """
    means = np.stack([x[index == c].mean(axis=0) for c in range(index.max() + 1)])
    common = Gaussian(np.zeros(x.shape[1]), oas(x - means[index], assume_centered=True)[0])
    return inv(cholesky(common.covariance)) if common.is_definite() else np.eye(x.shape[1])


def fit_rde(z: np.ndarray, label: np.ndarray, params: Mapping[str, Any], seed: int) -> RobustDensity:
    """Fit on training `z` float64 (N, d) and labels (N,); `params` as in `SCORE`, complete."""
    rng = np.random.default_rng(seed)
    pca = fit_kernel_pca(z, label, params["components"], params["kernel_pca"], params["kpca_rows"], rng)
    if pca.projection.shape[1] == 0:
        return RobustDensity(pca, {})
    labels, index = np.unique(label, return_inverse=True)
    rows = [rng.permutation(np.flatnonzero(index == c))[: params["mcd_rows"]] for c in range(len(labels))]
    x = [pca.transform(z[r]) for r in rows]
    whitening = pooled_whitening(np.concatenate(x), np.repeat(np.arange(len(labels)), [len(r) for r in rows]))
    fitted = [fit_class(scores @ whitening, params["rows_per_component"], rng) for scores in x]
    pca = replace(pca, projection=pca.projection @ whitening)
    return RobustDensity(pca, dict(zip(labels.tolist(), fitted, strict=True)))


def score(
    inputs: RecordFile, evals: Sequence[str], params: Mapping[str, Any], seed: int
) -> tuple[dict[str, dict[str, np.ndarray]], dict[str, Any]]:
    """Every variant on every eval set, each (N,).

    Diagnostics by variant: components kept, rows of the kernel PCA, every class's estimator (`fit_class`).
    """
    params = {**SCORE.params, **params}
    head, train = spectrally_normalised(inputs.head, params["spectral_norm"]), inputs["train"]
    scores: dict[str, dict[str, np.ndarray]] = {}
    diagnostics: dict[str, Any] = {}
    for suffix, normalise in NORMALISATIONS.items():
        fitted = fit_rde(normalise(representation(head, train)), train.label, params, seed)
        diagnostics[f"rde{suffix}"] = {
            "components": fitted.pca.projection.shape[1],
            "kpca_rows": len(fitted.pca.landmarks),
            "estimators": {str(label): estimator for label, (estimator, _) in fitted.classes.items()},
        }
        scores[f"rde{suffix}"] = {
            part: fitted.distance(normalise(representation(head, inputs[part]))) for part in evals
        }
    return scores, diagnostics
