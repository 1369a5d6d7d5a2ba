"""SNGP's output layer: a Gaussian process by random features with a Laplace posterior (Liu et al. 2020), on stored z.

f_k = Φ(x)ᵀ β_k, β_k ~ N(0, I / `ridge`), Φ(x) = √(2 / D) cos(Ω x + u), rows of Ω ~ N(0, I / ℓ²), u ~ U(0, 2π): a
process whose kernel tends to exp(-‖x - x'‖² / 2ℓ²) / `ridge` as D grows. x is the standardised z over √d: distances
between examples are of the order of ℓ = 1. β̂ is the maximum of the posterior, found by a quasi-Newton method; the
precision of β_k is ridge · I + Σ_n p_nk (1 - p_nk) Φ_n Φ_nᵀ, independent of the other options.

Their other half, spectral normalisation of the network's layers in training, is a property of the adapter, which was
trained before: what z does not tell apart, this does not either. Defaults are the authors' code's, but for the length
scale.

Params
  train_on      "train"; or "valid", whose labels the features were not fitted to.
  features      D.
  length_scale  ℓ.
  draws         logit samples an example; what is kept of them are the means of 100 equal cells.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.linalg import cholesky, solve_triangular
from scipy.optimize import minimize
from scipy.special import logsumexp

from peftuq.artifacts import RecordFile, Samples
from peftuq.plugins import Predictive
from peftuq.predictives.last_layer import Scaling, sampled
from peftuq.representation import representation

PREDICTIVE = Predictive(
    version=1,
    reads="records",
    needs=["train"],
    sized=False,
    samples=True,
    params={"train_on": "train", "features": 1024, "length_scale": 1.0, "ridge": 1.0, "draws": 10_000},
    bounds={
        "features": (1, 100_000),
        "length_scale": (1e-6, 1e6),
        "ridge": (1e-9, 1e9),
        "draws": (100, 10_000_000),
    },
    choices={"train_on": ["train", "valid"]},
)


class RandomFeatures(NamedTuple):
    """`frequencies` Ω (D, d), `phases` u (D,)."""

    frequencies: np.ndarray
    phases: np.ndarray

    @classmethod
    def draw(cls, dimensions: int, features: int, length_scale: float, seed: int) -> "RandomFeatures":
        rng = np.random.default_rng(seed)
        frequencies = rng.standard_normal((features, dimensions)) / length_scale
        return cls(frequencies, rng.uniform(0, 2 * np.pi, features))

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Φ (N, D)."""
        return np.sqrt(2 / len(self.phases)) * np.cos(x @ self.frequencies.T + self.phases)


class Process(NamedTuple):
    """Random features, means β̂ (C, D) and Cholesky factors (C, D, D) of the precisions."""

    features: RandomFeatures
    mean: np.ndarray
    factors: np.ndarray

    def logits(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Means and variances (N, C) of the logits at x (N, d)."""
        phi = self.features(x)
        spread = [np.square(solve_triangular(factor, phi.T, lower=True)).sum(axis=0) for factor in self.factors]
        return phi @ self.mean.T, np.stack(spread, axis=1)


def fit(features: RandomFeatures, x: np.ndarray, label: np.ndarray, missing: np.ndarray, ridge: float) -> Process:
    """The process given x (N, d), label (N,), `missing` bool (N, C): options that an example does not have."""
    phi, classes = features(x), missing.shape[1]
    one_hot, shape = np.eye(classes)[label], (classes, phi.shape[1])

    def probabilities(beta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        logits = np.where(missing, -np.inf, phi @ beta.T)
        total = logsumexp(logits, axis=1)
        return total - logits[np.arange(len(label)), label], np.exp(logits - total[:, None])

    def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
        beta = flat.reshape(shape)
        nll, probs = probabilities(beta)
        return nll.sum() + ridge / 2 * (beta**2).sum(), ((probs - one_hot).T @ phi + ridge * beta).ravel()

    search = {"maxiter": 5000, "maxfun": 10_000, "ftol": 1e-14, "gtol": 1e-8}
    found = minimize(objective, np.zeros(shape[0] * shape[1]), jac=True, method="L-BFGS-B", options=search)
    beta = found.x.reshape(shape)
    curvature = (p := probabilities(beta)[1]) * (1 - p)  # (N, C)
    precisions = [ridge * np.eye(shape[1]) + (phi * of[:, None]).T @ phi for of in curvature.T]
    return Process(features, beta, np.stack([cholesky(precision, lower=True) for precision in precisions]))


def predict(
    inputs: Sequence[RecordFile], evals: Sequence[str], params: Mapping[str, Any], seed: int, size: int | None
) -> tuple[dict[str, Samples], dict[str, str]]:
    """Samples (M = 100) of the process fitted to one adapter's z; `seed` draws the features."""
    (record,) = inputs
    part = record[params["train_on"]]
    z = representation(record.head, part)
    scaling = Scaling.of(z)
    features = RandomFeatures.draw(z.shape[1], params["features"], params["length_scale"], seed)
    process = fit(features, scaling(z), part.label, np.isneginf(part.logits), params["ridge"])
    return sampled(record, evals, scaling, process.logits, params["draws"], seed), {}
