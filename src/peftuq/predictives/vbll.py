"""Variational Bayesian last layer, discriminative classification (Harrison et al. 2024), on stored z.

y ~ softmax(W φ + ε), w_k ~ N(0, `prior_variance` I) for each option k, ε ~ N(0, diag σ²); φ is the standardised z over
√d, and a constant 1. The posterior is q(w_k) = N(w̄_k, diag v_k); w̄, v and σ² maximise the paper's bound, by Jensen's
inequality for E log Σ exp,

  Σ_n [ w̄_yᵀφ_n - log Σ_k exp(w̄_kᵀφ_n + (v_kᵀφ_n² + σ_k²) / 2) ] - KL(q ‖ prior)
  + Σ_k [ -(`degrees` + C + 1) / 2 · log σ_k² - `wishart_scale` / (2 σ_k²) ],

whose last line is the inverse-Wishart prior of the noise. Its negative is convex in (w̄, log v, log σ²): one optimum,
found by a quasi-Newton method, where the paper takes mini-batch steps. Defaults are the authors' code's, but for the
diagonal covariance, one of its options: a dense one of a layer 4096 wide has 8 M numbers an option.

The features are as the adapter left them: nothing is trained through the layer (the paper's post-training variant).

Params
  train_on  "train"; or "valid", whose labels the features were not fitted to.
  draws     logit samples an example; what is kept of them are the means of 100 equal cells.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
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
    params={"train_on": "train", "prior_variance": 1.0, "wishart_scale": 1.0, "degrees": 1.0, "draws": 10_000},
    bounds={
        "prior_variance": (1e-9, 1e9),
        "wishart_scale": (1e-9, 1e9),
        "degrees": (0, 1e6),
        "draws": (100, 10_000_000),
    },
    choices={"train_on": ["train", "valid"]},
)


class Priors(NamedTuple):
    """`variance` of a weight; of the noise the Wishart's `scale` and `degrees` of freedom."""

    variance: float
    scale: float
    degrees: float


class LastLayer(NamedTuple):
    """Means (C, D) and log variances (C, D) of the weights, log variances (C,) of the noise; D = d + 1."""

    mean: np.ndarray
    log_variance: np.ndarray
    log_noise: np.ndarray

    def logits(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Means and variances (N, C) of the logits at x (N, d)."""
        phi = features(x)
        return phi @ self.mean.T, phi**2 @ np.exp(self.log_variance).T + np.exp(self.log_noise)


def features(x: np.ndarray) -> np.ndarray:
    """φ (N, d + 1): x (N, d) and a constant 1."""
    return np.concatenate([x, np.ones((len(x), 1))], axis=1)


def jensen_bound(
    mean: np.ndarray, variance: np.ndarray, label: np.ndarray, missing: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Lower bound (N,) on E log softmax(f)_label, nats, for f ~ N(`mean`, diag `variance`), both (N, C).

    And the weights (N, C) of its sum of exponentials. `missing` (N, C): options that an example does not have.
    """
    shifted = np.where(missing, -np.inf, mean + variance / 2)
    total = logsumexp(shifted, axis=1)
    return mean[np.arange(len(label)), label] - total, np.exp(shifted - total[:, None])


def divergence(layer: LastLayer, variance: float) -> float:
    """KL(q(W) ‖ N(0, `variance` I)), nats."""
    ratio = np.exp(layer.log_variance) / variance
    return float(0.5 * (ratio + layer.mean**2 / variance - 1 - np.log(ratio)).sum())


def noise_log_prior(layer: LastLayer, priors: Priors) -> float:
    """Log density of the noise's inverse-Wishart prior, up to a constant."""
    degrees = (priors.degrees + len(layer.log_noise) + 1) / 2
    return float((-degrees * layer.log_noise - priors.scale / 2 * np.exp(-layer.log_noise)).sum())


def fit(x: np.ndarray, label: np.ndarray, missing: np.ndarray, priors: Priors) -> LastLayer:
    """The maximum of the bound on x (N, d), label (N,), `missing` bool (N, C)."""
    phi, classes = features(x), missing.shape[1]
    squared, one_hot = phi**2, np.eye(classes)[label]
    shapes, size = (classes, phi.shape[1]), classes * phi.shape[1]
    degrees = (priors.degrees + classes + 1) / 2

    def unpack(theta: np.ndarray) -> LastLayer:
        return LastLayer(theta[:size].reshape(shapes), theta[size : 2 * size].reshape(shapes), theta[2 * size :])

    def objective(theta: np.ndarray) -> tuple[float, np.ndarray]:
        layer = unpack(theta)
        variance, noise = np.exp(layer.log_variance), np.exp(layer.log_noise)
        bound, weights = jensen_bound(phi @ layer.mean.T, squared @ variance.T + noise, label, missing)
        of_mean = (weights - one_hot).T @ phi + layer.mean / priors.variance
        of_variance = 0.5 * variance * (weights.T @ squared + 1 / priors.variance) - 0.5
        of_noise = 0.5 * noise * weights.sum(axis=0) + degrees - priors.scale / 2 / noise
        value = divergence(layer, priors.variance) - noise_log_prior(layer, priors) - bound.sum()
        return value, np.concatenate([of_mean.ravel(), of_variance.ravel(), of_noise])

    spread = -np.log(1 / priors.variance + squared.sum(axis=0) / 4)  # near the optimum, where exp cannot overflow
    start = np.concatenate([np.zeros(size), np.tile(spread, classes), np.zeros(classes)])
    found = minimize(objective, start, jac=True, method="L-BFGS-B", options={"maxiter": 5000, "maxfun": 10_000})
    return unpack(found.x)


def predict(
    inputs: Sequence[RecordFile], evals: Sequence[str], params: Mapping[str, Any], seed: int, size: int | None
) -> tuple[dict[str, Samples], dict[str, str]]:
    """Samples (M = 100) of the layer fitted to one adapter's z. Facts: the bound on the log evidence, in nats."""
    (record,) = inputs
    part = record[params["train_on"]]
    z = representation(record.head, part)
    scaling, missing = Scaling.of(z), np.isneginf(part.logits)
    priors = Priors(params["prior_variance"], params["wishart_scale"], params["degrees"])
    layer = fit(scaling(z), part.label, missing, priors)
    bound, _ = jensen_bound(*layer.logits(scaling(z)), part.label, missing)
    facts = {"bound": repr(float(bound.sum()) - divergence(layer, priors.variance))}
    return sampled(record, evals, scaling, layer.logits, params["draws"], seed), facts
