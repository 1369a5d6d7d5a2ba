"""Bayesian last layers on the small network's frozen features: VBLL and SNGP with the defaults they have on records.

They see what the posterior is given, through z = tanh(W1 x + b1), and replace the layer on top. Their weights and
priors are their own: the distance from the exact predictions is a method's, not an approximation's to the same model.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from peftuq.artifacts import softmax
from peftuq.predictives import sngp, vbll
from peftuq.predictives.last_layer import Scaling
from peftuq.reference_posterior.model import Network, Posterior


class LastLayer(NamedTuple):
    """`scaling` of z, and `logits`: z scaled (N, k) → means and variances (N, C)."""

    scaling: Scaling
    logits: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


def features(network: Network, x: np.ndarray) -> np.ndarray:
    """z (N, k) of x (N, d), without an adapter."""
    return np.tanh(x @ network.layers.weight1.T + network.layers.bias1)


def fit_vbll(posterior: Posterior) -> LastLayer:
    params = vbll.PREDICTIVE.params
    priors = vbll.Priors(params["prior_variance"], params["wishart_scale"], params["degrees"])
    z = features(posterior.network, posterior.x)
    scaling = Scaling.of(z)
    return LastLayer(scaling, vbll.fit(scaling(z), posterior.y, _none_missing(posterior), priors).logits)


def fit_sngp(posterior: Posterior, seed: int) -> LastLayer:
    """`seed` draws the random features."""
    params = sngp.PREDICTIVE.params
    z = features(posterior.network, posterior.x)
    scaling = Scaling.of(z)
    random = sngp.RandomFeatures.draw(z.shape[1], params["features"], params["length_scale"], seed)
    return LastLayer(
        scaling, sngp.fit(random, scaling(z), posterior.y, _none_missing(posterior), params["ridge"]).logits
    )


def _none_missing(posterior: Posterior) -> np.ndarray:
    return np.zeros((len(posterior.y), len(posterior.network.layers.bias2)), dtype=bool)


def draw(layer: LastLayer, network: Network, x: np.ndarray, m: int, seed: int) -> np.ndarray:
    """Predictive distributions (M, N, C) of x (N, d): the softmax of m draws of the logits."""
    mean, variance = layer.logits(layer.scaling(features(network, x)))
    noise = np.random.default_rng(seed).normal(size=(m, 1, mean.shape[1]))
    return softmax(mean + np.sqrt(variance) * noise)
