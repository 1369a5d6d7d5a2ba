"""f_Sigma and the evidence against laplace-torch, where it is installed (its Kronecker algebra, its own Jacobians)."""

import numpy as np
import posteriors
import pytest
import torch

from peftuq.laplace import evidence, predictive
from peftuq.models.batching import collate


def test_covariance_and_determinant_equal_laplace_torchs():
    curvature_module = pytest.importorskip("laplace.curvature")
    from laplace.utils import Kron

    model, layers, data, curvature = posteriors.fitted("classification")
    for layer in layers.values():
        layer.weight.requires_grad_()

    class Logits(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, batch):
            return self.model(batch.input_ids, batch.lengths).logits

    wrapped, names = Logits(), {id(layer.weight): name for name, layer in layers.items()}
    order = [names[id(weight)] for weight in wrapped.parameters() if weight.requires_grad]
    kfacs = [
        [((e.vectors * e.values) @ e.vectors.T).float() for e in (factors.outputs, factors.inputs)]
        for factors in (curvature.factors[name] for name in order)
    ]
    posterior = Kron(kfacs).decompose() + torch.tensor(3.0)
    interface = curvature_module.CurvatureInterface(wrapped, "classification")
    jacobians, _ = interface.jacobians(collate(data, np.arange(len(data)), 0))
    theirs = posteriors.centred(posterior.inv_square_form(jacobians).detach().double().numpy(), data)
    _, ours = predictive.distribution(model, layers, data, posteriors.RUNNING, curvature, [3.0])
    np.testing.assert_allclose(ours[0], theirs, rtol=1e-3, atol=1e-4 * np.abs(theirs).max())
    spectrum = curvature.spectrum.numpy()
    occam = -2 * evidence.log_evidence(3.0, spectrum, 0.0, 0.0) + len(spectrum) * np.log(3.0)
    assert occam == pytest.approx(float(posterior.logdet().detach()), rel=1e-4)
