"""The posterior is the one that training minimises, and the network the one its docstring says."""

import numpy as np
import pytest
import torch
from torch import nn

from peftuq.config import recipe
from peftuq.reference_posterior.backend import jax, jnp
from peftuq.reference_posterior.model import Layers, Network, Posterior, fit_layers, forward, probabilities
from peftuq.training.losses import Prior

pytestmark = pytest.mark.slow
D, K, C, R, N = 5, 4, 3, 2, 12
RNG = np.random.default_rng(3)
LAYERS = Layers(RNG.normal(size=(K, D)), RNG.normal(size=K), RNG.normal(size=(C, K)), RNG.normal(size=C))
NETWORK = Network(LAYERS, R, 1.7)
POSTERIOR = Posterior(NETWORK, RNG.normal(size=(N, D)), RNG.integers(0, C, N), 0.6)
THETA = RNG.normal(size=NETWORK.size)


def torch_parameters(theta: np.ndarray) -> dict[str, nn.Parameter]:
    factors = NETWORK.factors(theta)
    names = ("one.lora_A", "one.lora_B", "two.lora_A", "two.lora_B")
    return {n: nn.Parameter(torch.tensor(np.asarray(f))) for n, f in zip(names, factors, strict=True)}


def torch_logits(p: dict[str, nn.Parameter], x: np.ndarray) -> torch.Tensor:
    """Peft's formula: base(x) + scaling · B(A(x)), a layer at a time."""
    weight1, bias1, weight2, bias2 = map(torch.tensor, LAYERS)
    x = torch.tensor(x)
    z = torch.tanh(nn.functional.linear(x, weight1, bias1) + 1.7 * (x @ p["one.lora_A"].T @ p["one.lora_B"].T))
    return nn.functional.linear(z, weight2, bias2) + 1.7 * (z @ p["two.lora_A"].T @ p["two.lora_B"].T)


def test_minus_the_log_density_is_n_times_what_training_minimises():
    parameters = torch_parameters(THETA)
    prior = Prior(recipe.Prior(half_lambda=0.6), parameters, N, seed=0)
    logits = torch_logits(parameters, POSTERIOR.x)
    loss = N * (nn.functional.cross_entropy(logits, torch.tensor(POSTERIOR.y)) + prior())
    assert float(POSTERIOR.potential(THETA)) == pytest.approx(loss.item(), rel=1e-12)
    loss.backward()
    ours = NETWORK.factors(jax.grad(POSTERIOR.potential)(jnp.asarray(THETA)))
    for parameter, gradient in zip(parameters.values(), ours, strict=True):
        assert np.asarray(gradient) == pytest.approx(parameter.grad.numpy(), rel=1e-9, abs=1e-12)


def test_the_prior_is_gaussian_with_its_stated_deviation():
    centre = RNG.normal(size=NETWORK.size)
    step = 1e-3 * np.eye(NETWORK.size)[0]
    at = lambda theta: float(POSTERIOR._replace(x=np.zeros((0, D)), y=np.zeros(0, int)).potential(theta, centre))  # noqa: E731
    curvature = (at(centre + step) + at(centre - step) - 2 * at(centre)) / 1e-6
    assert at(centre) == 0
    assert curvature == pytest.approx(POSTERIOR.prior_std**-2, rel=1e-6)


def test_starts_as_the_network_without_adapter():
    start = NETWORK.initial(np.random.default_rng(0))
    x = RNG.normal(size=(7, D))
    assert np.array_equal(NETWORK.logits(start, x), forward(LAYERS, x))
    factors = NETWORK.factors(start)
    assert not np.any(factors.b1) and not np.any(factors.b2)
    assert 0.5 < np.abs(factors.a1).max() * np.sqrt(D) <= 1 and np.abs(factors.a2).max() * np.sqrt(K) <= 1


def test_rotating_the_factors_within_the_rank_changes_nothing():
    a1, b1, a2, b2 = map(np.asarray, NETWORK.factors(THETA))
    turn = np.linalg.qr(RNG.normal(size=(R, R)))[0]
    rotated = np.concatenate([(turn @ a1).ravel(), (b1 @ turn.T).ravel(), a2.ravel(), b2.ravel()])
    assert float(POSTERIOR.potential(rotated)) == pytest.approx(float(POSTERIOR.potential(THETA)), rel=1e-12)


def test_probabilities_are_the_softmax_of_each_members_logits():
    thetas = RNG.normal(size=(3, NETWORK.size))
    found = probabilities(NETWORK, thetas, POSTERIOR.x)
    for member, theta in zip(found, thetas, strict=True):
        logits = torch_logits(torch_parameters(theta), POSTERIOR.x)
        assert member == pytest.approx(torch.softmax(logits, dim=1).detach().numpy(), rel=1e-10)


def test_the_fitted_layers_are_stationary_under_the_prior():
    x, y = RNG.normal(size=(40, D)), RNG.integers(0, C, 40)
    layers = fit_layers(x, y, K, C, half_lambda=0.5, seed=0)
    tensors = [torch.tensor(np.asarray(t), requires_grad=True) for t in layers]
    z = torch.tanh(nn.functional.linear(torch.tensor(x), tensors[0], tensors[1]))
    logits = nn.functional.linear(z, tensors[2], tensors[3])
    loss = nn.functional.cross_entropy(logits, torch.tensor(y), reduction="sum")
    (loss + 0.5 * sum((t**2).sum() for t in tensors)).backward()
    assert max(float(t.grad.abs().max()) for t in tensors) < 1e-3
