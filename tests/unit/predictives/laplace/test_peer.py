"""The whole approximation against laplace-torch's own: its curvature (curvlinops), Jacobians, evidence and optimiser.

Sequences have one length, where both take a factor of inputs as the mean over all tokens of all examples (KFAC-expand).
With mixed lengths the factors are not comparable: curvlinops counts padding as tokens, this library does not.
"""

from typing import NamedTuple

import numpy as np
import posteriors
import pytest
import torch
from laplace import KronLaplace
from laplace.curvature import CurvlinopsGGN
from torch.utils.data import DataLoader, TensorDataset

from peftuq.models.batching import Encoded
from peftuq.models.readout import ReadOut
from peftuq.predictives.laplace import evidence, kfac, predictive
from peftuq.predictives.laplace.layers import layers_of

N, TOKENS = 9, 6


class Fits(NamedTuple):
    model: ReadOut
    layers: dict[str, torch.nn.Linear]
    data: Encoded
    ours: kfac.Curvature
    peer: KronLaplace


class Logits(torch.nn.Module):
    """The logits (n, C) of token ids (n, T) without padding."""

    def __init__(self, model: ReadOut):
        super().__init__()
        self.model = model

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.model(ids, torch.full((len(ids),), ids.shape[1])).logits


@pytest.fixture(scope="module", params=["choice", "classification"])
def fits(request) -> Fits:
    model, rng = posteriors.adapted(request.param), np.random.default_rng(1)
    tokens, label = rng.integers(5, 50, (N, TOKENS)), rng.integers(0, posteriors.CLASSES, N)
    data = Encoded(np.arange(N), label, tokens.tolist(), np.full(N, posteriors.CLASSES))
    layers = layers_of(model, "excluded")
    ours = kfac.fit(model, layers, data, posteriors.EXECUTION, "all", 10, 512)

    for layer in layers.values():
        layer.weight.requires_grad_()
    peer = KronLaplace(Logits(model), "classification", backend=CurvlinopsGGN)
    # Batches of 4, 4 and 1: laplace-torch sums their products' factors, weighted by size.
    peer.fit(DataLoader(TensorDataset(torch.from_numpy(tokens), torch.from_numpy(label)), batch_size=4))
    for layer in layers.values():
        layer.weight.requires_grad_(False)
    return Fits(model, layers, data, ours, peer)


def test_curvature(fits):
    names = {id(layer.weight): name for name, layer in fits.layers.items()}
    order = [names[id(weight)] for weight in fits.model.parameters() if id(weight) in names]
    assert len(order) == len(fits.peer.H_facs.kfacs) == len(fits.layers) == 8
    for name, (outputs, inputs) in zip(order, fits.peer.H_facs.kfacs, strict=True):
        found = fits.ours.factors[name]
        ours = torch.kron(*((side.vectors * side.values) @ side.vectors.T for side in (found.outputs, found.inputs)))
        expected = torch.kron(outputs.double(), inputs.double())
        torch.testing.assert_close(ours, expected, rtol=1e-3, atol=1e-5 * float(expected.max()))


@pytest.mark.parametrize("precision", [0.05, 3.0, 200.0])
def test_logits_covariance_and_evidence(fits, precision):
    f_mu, f_sigma = predictive.distribution(
        fits.model, fits.layers, fits.data, posteriors.EXECUTION, fits.ours, [precision]
    )
    fits.peer.prior_precision = precision
    jacobians, logits = fits.peer.backend.jacobians(torch.tensor(fits.data.tokens))
    covariance = fits.peer.functional_variance(jacobians).detach().double().numpy()
    expected = posteriors.centred(covariance, fits.data)
    np.testing.assert_allclose(f_mu, logits.detach().numpy(), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(f_sigma[0], expected, rtol=1e-3, atol=1e-4 * expected.max())
    spectrum, statistics = fits.ours.spectrum.numpy(), (fits.ours.log_likelihood, fits.ours.squared_norm)
    theirs = float(fits.peer.log_marginal_likelihood().detach())
    assert evidence.log_evidence(precision, spectrum, *statistics) == pytest.approx(theirs, rel=1e-4)


def test_precision_by_marginal_likelihood(fits):
    fits.peer.optimize_prior_precision(method="marglik", n_steps=400, init_prior_prec=0.4)
    ours = evidence.best_precision(fits.ours.spectrum.numpy(), fits.ours.squared_norm)
    assert ours == pytest.approx(float(fits.peer.prior_precision), rel=1e-3)
