"""Bayesian last layers on the small network: its own features, and the moments of the logits that are drawn."""

import numpy as np
import pytest

from peftuq.reference_posterior import last_layers
from peftuq.reference_posterior.model import Layers, Network, Posterior, forward

pytestmark = pytest.mark.slow
RNG = np.random.default_rng(3)
LAYERS = Layers(RNG.normal(size=(3, 4)), RNG.normal(size=3), RNG.normal(size=(2, 3)), RNG.normal(size=2))
NETWORK = Network(LAYERS, 2, 1.0)
X = RNG.normal(size=(40, 4))
POSTERIOR = Posterior(NETWORK, X, (X[:, 0] > 0).astype(int), 0.2)


def test_the_features_are_what_the_networks_last_layer_reads():
    z = last_layers.features(NETWORK, X)
    np.testing.assert_allclose(z @ LAYERS.weight2.T + LAYERS.bias2, forward(LAYERS, X))


@pytest.mark.parametrize("fit", [last_layers.fit_vbll, lambda posterior: last_layers.fit_sngp(posterior, 1)])
def test_draws_have_the_layers_moments(fit):
    layer = fit(POSTERIOR)
    probs = last_layers.draw(layer, NETWORK, X, 20_000, seed=0)
    mean, variance = layer.logits(layer.scaling(last_layers.features(NETWORK, X)))
    margins = np.log(probs[:, :, 1] / probs[:, :, 0])
    assert margins.mean(axis=0) == pytest.approx(mean[:, 1] - mean[:, 0], abs=0.05)
    assert margins.var(axis=0) == pytest.approx(variance.sum(axis=1), rel=0.05)
    assert (probs.mean(axis=0).argmax(axis=1) == POSTERIOR.y).mean() > 0.6
