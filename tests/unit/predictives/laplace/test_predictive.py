"""f_Sigma against whole Jacobians and whole Kronecker Hessians; the evidence against dense determinants."""

import numpy as np
import posteriors
import pytest
import torch

from peftuq.models.batching import Encoded, collate
from peftuq.predictives.laplace import evidence, kfac, predictive
from peftuq.predictives.laplace.layers import layers_of

PRECISIONS = [0.5, 40.0]


def explicit(jacobians: list, data: Encoded, hessians: dict, precision: float) -> np.ndarray:
    """f_Sigma (N, C, C) by inverting each layer's whole posterior precision."""
    sigma = torch.zeros(len(data), posteriors.CLASSES, posteriors.CLASSES, dtype=torch.float64)
    for name, hessian in hessians.items():
        inverse = torch.linalg.inv(hessian + precision * torch.eye(len(hessian), dtype=torch.float64))
        slabs = torch.stack([jacobian[name].flatten(1) for jacobian in jacobians])
        sigma += slabs @ inverse @ slabs.mT
    return posteriors.centred(sigma.numpy(), data)


@pytest.mark.parametrize("kind", ["choice", "classification"])
def test_covariance_equals_explicit_jacobians_and_hessians(kind):
    model, layers, data, curvature = posteriors.fitted(kind)
    hessians = posteriors.kronecker_hessian(model, layers, data)
    f_mu, f_sigma = predictive.distribution(model, layers, data, posteriors.EXECUTION, curvature, PRECISIONS)
    jacobians = [posteriors.jacobian(model, layers, data, row) for row in range(len(data))]
    for found, precision in zip(f_sigma, PRECISIONS, strict=True):
        expected = explicit(jacobians, data, hessians, precision)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * expected.max())
    for row in range(len(data)):
        batch = collate(data, np.array([row]), 0)
        np.testing.assert_allclose(
            f_mu[row], model(batch.input_ids, batch.lengths, batch.n_options).logits[0], rtol=1e-4, atol=1e-5
        )


def test_kept_eigenvectors_and_the_rest():
    """With low-rank factors the posterior is (A_k ⊗ G_k + λ)⁻¹ on the whole space, the rest under the prior alone."""
    model, layers, data, curvature = posteriors.fitted("choice", rank=2, exact_below=8)
    hessians = {}
    for name, factors in curvature.factors.items():
        sides = [(e.vectors * e.values) @ e.vectors.T for e in (factors.outputs, factors.inputs)]
        hessians[name] = torch.kron(*(side.contiguous() for side in sides))
        assert min(len(factors.inputs.values), len(factors.outputs.values)) == 2
    _, f_sigma = predictive.distribution(model, layers, data, posteriors.EXECUTION, curvature, PRECISIONS)
    jacobians = [posteriors.jacobian(model, layers, data, row) for row in range(len(data))]
    for found, precision in zip(f_sigma, PRECISIONS, strict=True):
        expected = explicit(jacobians, data, hessians, precision)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * expected.max())


def test_missing_options_have_no_variance_and_batches_change_nothing(monkeypatch):
    model, layers, data, curvature = posteriors.fitted("choice")
    f_mu, f_sigma = predictive.distribution(model, layers, data, posteriors.EXECUTION, curvature, PRECISIONS)
    assert f_mu[0, 2] == -np.inf and np.isfinite(f_mu[1:]).all()
    np.testing.assert_allclose(f_sigma[:, 0, 2], 0.0, atol=1e-12 * f_sigma.max())
    np.testing.assert_allclose(f_sigma[:, 0, :2].sum(axis=1), 0.0, atol=1e-12 * f_sigma.max())
    monkeypatch.setattr(predictive, "SLABS", 1)
    alone = predictive.distribution(
        model, layers, data, kfac.Execution(7, 10_000, torch.float32), curvature, PRECISIONS
    )
    np.testing.assert_allclose(alone[1], f_sigma, rtol=1e-4, atol=1e-4 * f_sigma.max())


def test_a_heads_biases_count():
    """With the head alone the logits are linear in the weights: J is known in closed form."""
    model, data = posteriors.adapted("classification"), posteriors.examples(5)
    head = {"head.out": layers_of(model, "included")["head.out"]}
    curvature = kfac.fit(model, head, data, posteriors.EXECUTION, "all", 10, 512)
    _, f_sigma = predictive.distribution(model, head, data, posteriors.EXECUTION, curvature, [2.0])
    seen = []
    handle = head["head.out"].register_forward_hook(lambda _, args, out: seen.append(args[0][0].double()))
    for tokens in data.tokens:
        model(torch.tensor([tokens]), torch.tensor([len(tokens)]))
    handle.remove()
    z = torch.stack([torch.cat([one, torch.ones(1)]) for one in seen])
    outputs, inputs = curvature.factors["head.out"].outputs, z.T @ z / len(z)
    gradient = (outputs.vectors * outputs.values) @ outputs.vectors.T
    whole = torch.kron(gradient, inputs) + 2.0 * torch.eye(len(gradient) * len(inputs), dtype=torch.float64)
    slabs = torch.stack([torch.kron(torch.eye(posteriors.CLASSES, dtype=torch.float64), one[None]) for one in z])
    expected = posteriors.centred((slabs @ torch.linalg.inv(whole) @ slabs.mT).numpy(), data)
    np.testing.assert_allclose(f_sigma[0], expected, rtol=1e-4, atol=1e-6)


def test_evidence_equals_dense_determinants_and_is_maximal():
    model, layers, data, curvature = posteriors.fitted("choice")
    hessians = posteriors.kronecker_hessian(model, layers, data)
    spectrum, weights = curvature.spectrum.numpy(), sum(len(hessian) for hessian in hessians.values())
    assert len(spectrum) == weights

    def dense(precision: float) -> float:
        eye = {name: torch.eye(len(hessian), dtype=torch.float64) for name, hessian in hessians.items()}
        logdet = sum(float(torch.linalg.slogdet(h + precision * eye[n]).logabsdet) for n, h in hessians.items())
        prior = 0.5 * weights * np.log(precision) - 0.5 * precision * curvature.squared_norm
        return curvature.log_likelihood + prior - 0.5 * logdet

    best = evidence.best_precision(spectrum, curvature.squared_norm)
    for precision in (0.01, best, 30.0):
        found = evidence.log_evidence(precision, spectrum, curvature.log_likelihood, curvature.squared_norm)
        assert found == pytest.approx(dense(precision), rel=1e-4)
    assert dense(best) > max(dense(best * 1.05), dense(best / 1.05))
    effective = (spectrum / (spectrum + best)).sum()  # MacKay's fixed point: λ‖θ‖² = number of determined parameters
    assert best * curvature.squared_norm == pytest.approx(effective, rel=1e-5)
