"""SmoothMax and the error loss against autograd, closed forms and smaller problems."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from peftuq.scores.adue.smoothmax import FLOOR, ErrorLoss, uncertainty

torch.set_num_threads(1)
logits = st.lists(st.floats(-20, 20), min_size=2, max_size=8)
lambdas = st.sampled_from([1.0, 10.0, 50.0, 100.0, 500.0, 1000.0])


def naive(z: torch.Tensor, lam: float) -> torch.Tensor:
    return 1 - torch.logsumexp(lam * torch.softmax(z, -2), -2, keepdim=True) / lam


def of(z: torch.Tensor, lam: float) -> tuple[torch.Tensor, torch.Tensor]:
    return uncertainty(z, torch.zeros_like(z), z.new_tensor(lam))


@given(logits, lambdas)
def test_value_and_gradient_equal_autograd(values, lam):
    z = torch.tensor(values, dtype=torch.float64)[:, None].requires_grad_()
    expected = naive(z, lam)
    expected.sum().backward()
    u, gradient = of(z.detach(), lam)
    torch.testing.assert_close(u, expected.detach(), rtol=0, atol=1e-13)
    torch.testing.assert_close(gradient, z.grad, rtol=1e-9, atol=1e-13)


@given(logits, lambdas)
def test_smoothmax_is_at_least_the_maximum_and_at_most_log_c_over_lambda_above(values, lam):
    z = torch.tensor(values, dtype=torch.float64)[:, None]
    excess = float((1 - torch.softmax(z, 0).max()) - of(z, lam)[0])
    assert -1e-15 <= excess <= math.log(len(values)) / lam + 1e-15


@given(logits)
def test_smoothmax_falls_to_the_maximum_as_lambda_grows(values):
    z = torch.tensor(values, dtype=torch.float64)[:, None]
    u = [float(of(z, lam)[0]) for lam in (1.0, 10.0, 100.0, 1000.0, 1e6)]
    assert all(a <= b + 1e-15 for a, b in itertools.pairwise(u))
    assert u[-1] == pytest.approx(1 - float(torch.softmax(z, 0).max()), abs=3e-6)


@given(st.integers(2, 6), lambdas)
def test_tied_classes(classes, lam):
    z = torch.zeros(classes, 1, dtype=torch.float64)
    u, gradient = of(z, lam)
    assert float(u) == pytest.approx(1 - 1 / classes - math.log(classes) / lam, abs=1e-14)
    assert gradient.abs().max() == 0
    z = torch.tensor([[2.0], [2.0], [0.0]], dtype=torch.float64, requires_grad=True)
    naive(z, lam).sum().backward()
    torch.testing.assert_close(of(z.detach(), lam)[1], z.grad, rtol=1e-10, atol=1e-14)


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=4), st.integers(1, 3), lambdas, st.randoms())
def test_missing_options_leave_the_problem_of_the_others(values, absent, lam, random):
    places = sorted(random.sample(range(len(values) + absent), len(values)))
    few = torch.tensor(values, dtype=torch.float64)[:, None]
    many = torch.full((len(values) + absent, 1), 9.0, dtype=torch.float64)
    missing = torch.full_like(many, -math.inf)
    many[places], missing[places] = few, 0.0
    (u, gradient), (u_few, gradient_few) = uncertainty(many, missing, few.new_tensor(lam)), of(few, lam)
    torch.testing.assert_close(u, u_few, rtol=0, atol=1e-15)
    torch.testing.assert_close(gradient[places], gradient_few, rtol=1e-12, atol=1e-16)
    assert gradient.sum().abs() < 1e-12
    assert (gradient[[i for i in range(len(many)) if i not in places]] == 0).all()


@pytest.mark.parametrize("gap", [5.0, 12.0, 15.0])
def test_float32_keeps_its_digits_where_the_head_is_confident(gap):
    z = torch.tensor([[0.0], [gap], [-1.0]], dtype=torch.float64)
    exact, single = of(z, 100.0), of(z.float(), 100.0)
    for a, b in zip(exact, single, strict=True):
        torch.testing.assert_close(b.double(), a, rtol=2e-6, atol=0)


def straightforward(z, error, response, missing, alpha, lam):
    """The loss as eq. 3 and 4 spell it, autograd through all of it; the mean over the examples, per head."""
    p = torch.softmax(z + missing, 1)
    u = 1 - torch.logsumexp(lam * p + missing, 1) / lam
    u = u.clamp(FLOOR, 1 - FLOOR)
    bce = -(error * u.log() + (1 - error) * (1 - u).log())
    return (bce + alpha * (u - response) ** 2).mean(1)


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.sampled_from([0.5, 3.0, 15.0]))
def test_slope_equals_autograd_also_where_u_is_clamped(seed, scale):
    rng = np.random.default_rng(seed)
    heads, classes, n = 4, 4, 23
    rows = torch.tensor(rng.permutation(n)[:7])
    z = torch.tensor(rng.normal(0, scale, (heads, classes, len(rows))), requires_grad=True)
    error, response = torch.tensor(rng.integers(0, 2, n) * 1.0), torch.tensor(rng.uniform(0, 0.7, n))
    missing = torch.zeros(classes, n, dtype=torch.float64)
    missing[3, ::2] = -math.inf
    alpha = torch.tensor([0.0, 0.1, 0.3, 1.0, 7.0], dtype=torch.float64)
    lam = torch.tensor([10.0, 50.0, 100.0, 1000.0, 7.0], dtype=torch.float64)
    at = (error[rows], response[rows], missing[:, rows])
    per_head = [straightforward(z[i : i + 1], *at, alpha[i], lam[i]).sum() for i in range(heads)]
    torch.stack(per_head).sum().backward()
    loss = ErrorLoss(error, response, missing, alpha[:, None, None], lam[:, None, None])
    torch.testing.assert_close(loss.slope(z.detach(), rows), z.grad, rtol=1e-7, atol=1e-12)


def test_a_clamped_example_passes_no_gradient():
    z = torch.tensor([[[30.0], [0.0]]], dtype=torch.float64)
    one = torch.ones(1, 1, 1, dtype=torch.float64)
    loss = ErrorLoss(*torch.ones(2, 1, dtype=torch.float64), torch.zeros(2, 1, dtype=torch.float64), one, 100 * one)
    assert (loss.slope(z, torch.tensor([0])) == 0).all()
    assert (loss.slope(z / 10, torch.tensor([0])) != 0).all()
