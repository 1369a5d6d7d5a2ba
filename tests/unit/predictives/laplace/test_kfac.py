"""Curvature against its definition; label expectation exact; batches and padding change nothing."""

import numpy as np
import posteriors
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from peftuq.errors import UserError
from peftuq.models.readout import ReadOut
from peftuq.predictives.laplace import kfac
from peftuq.predictives.laplace.covariance import Exact, Sketch
from peftuq.predictives.laplace.layers import layers_of


def dense(factors: kfac.Factors) -> torch.Tensor:
    """A ⊗ G of a layer as a matrix, rows of the weight one after another."""
    sides = [(eigen.vectors * eigen.values) @ eigen.vectors.T for eigen in (factors.outputs, factors.inputs)]
    return torch.kron(*(side.contiguous() for side in sides))


@pytest.mark.parametrize("kind", ["choice", "classification"])
@pytest.mark.parametrize("positions", ["all", "read"])
def test_curvature_is_the_kronecker_product_of_its_definition(kind, positions):
    model, layers, data, curvature = posteriors.fitted(kind, positions=positions)
    expected = posteriors.kronecker_hessian(model, layers, data, positions)
    assert curvature.factors.keys() == expected.keys() and len(expected) == 8
    for name, matrix in expected.items():
        torch.testing.assert_close(dense(curvature.factors[name]), matrix, rtol=1e-4, atol=1e-5 * float(matrix.max()))


def test_kronecker_factors_are_the_exact_fisher_of_one_token():
    """With one token in all there is nothing to factorise: KFAC is the Gauss-Newton matrix of every layer."""
    model = posteriors.adapted("choice")
    data = posteriors.examples(1)
    data = type(data)(data.id, data.label, [data.tokens[0][:1]], data.n_options)
    layers = layers_of(model, "excluded")
    curvature = kfac.fit(model, layers, data, posteriors.EXECUTION, "all", 10, 512)
    batch = posteriors.collate(data, np.array([0]), 0)
    p = posteriors.EXECUTION.logits(model, batch).detach()[0].double()
    p = p.softmax(0)
    jacobian = posteriors.jacobian(model, layers, data, 0)
    for name, slab in jacobian.items():
        fisher = slab.flatten(1).T @ (p.diag() - p.outer(p)) @ slab.flatten(1)
        torch.testing.assert_close(dense(curvature.factors[name]), fisher, rtol=1e-4, atol=1e-9)


@given(hnp.arrays(np.float64, (3, 4), elements=st.floats(-30, 30)), st.integers(2, 4))
def test_softmax_hessian_root(logits, options):
    logits = torch.from_numpy(logits)
    logits[0, options:] = -torch.inf
    root = kfac.softmax_hessian_root(logits)
    p = logits.softmax(dim=1)
    hessian = torch.diag_embed(p) - p[:, :, None] * p[:, None]
    assert root.shape == (3, 4, 3)
    torch.testing.assert_close(root @ root.mT, hessian, rtol=0, atol=1e-12)


def test_batches_and_padding_change_nothing():
    model, layers, data, curvature = posteriors.fitted("classification")
    alone = kfac.fit(model, layers, data, kfac.Execution(9, 1, torch.float32), "all", 10, 512)
    for name in layers:
        matrix = dense(curvature.factors[name])
        torch.testing.assert_close(dense(alone.factors[name]), matrix, rtol=1e-4, atol=1e-5 * float(matrix.max()))
    assert alone.log_likelihood == pytest.approx(curvature.log_likelihood, rel=1e-5)


def test_log_likelihood_and_norm():
    model, _, data, curvature = posteriors.fitted("choice")
    log_p = [
        model(torch.tensor([tokens]), torch.tensor([len(tokens)]), torch.tensor([n])).logits[0].log_softmax(0)[label]
        for tokens, n, label in zip(data.tokens, data.n_options, data.label, strict=True)
    ]
    assert curvature.log_likelihood == pytest.approx(float(sum(log_p)), rel=1e-5)
    weights = torch.cat([p.flatten() for name, p in model.named_parameters() if "lora_" in name])
    assert curvature.squared_norm == pytest.approx(float(weights.square().sum()), rel=1e-5)


def test_sketch_finds_the_leading_eigenvectors_whatever_the_batches():
    generator = torch.Generator().manual_seed(1)
    basis = torch.linalg.qr(torch.randn(60, 60, generator=generator))[0]
    rows = (torch.randn(400, 60, generator=generator) * 2.0 ** -torch.arange(60)) @ basis.T
    exact, whole, parts = Exact(60, rows.device), *(_sketch() for _ in range(2))
    exact.add(rows)
    whole.add(rows)
    for part in rows[torch.randperm(400, generator=generator)].split(7):
        parts.add(part)
    expected = exact.eigen()
    for found in (whole.eigen(), parts.eigen()):
        torch.testing.assert_close(found.values, expected.values.flip(0)[:5], rtol=1e-4, atol=0)
        overlap = (found.vectors.T @ expected.vectors.flip(1)[:, :5]).abs()
        torch.testing.assert_close(overlap, torch.eye(5, dtype=torch.float64), rtol=0, atol=1e-2)


def _sketch() -> Sketch:
    return Sketch(60, 5, torch.Generator().manual_seed(0), torch.device("cpu"))


def test_a_sketch_of_few_rows_is_exact_and_finite():
    sketch, row = _sketch(), torch.arange(60.0)[None]
    assert torch.equal(sketch.eigen().values, torch.zeros(5, dtype=torch.float64))
    sketch.add(row)
    found = sketch.eigen()
    assert float(found.values[0]) == pytest.approx(float(row.square().sum()), rel=1e-5)
    assert float(found.values[1:].max()) < 1e-6 * float(found.values[0])


def test_a_head_is_included_on_request_and_experts_are_refused():
    model = posteriors.adapted("classification")
    names = layers_of(model, "included").keys() - layers_of(model, "excluded").keys()
    assert names == {"head.out", "head.dense"}
    hf = model.hf
    with pytest.raises(UserError, match="no LoRA"):
        layers_of(ReadOut(torch.nn.Linear(1, 1), hf), "excluded")
