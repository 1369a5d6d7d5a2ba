"""IVON against its closed form on a quadratic loss, and its recurrences written out."""

import numpy as np
import torch
from posterior_kinds import posterior_recipe, read_out
from torch import nn
from trainings import DATA

from peftuq.adapters import ivon
from peftuq.adapters.peft_lora import trainable

PARAMS = {**ivon.KIND.params, "clip": 1e9}


def test_the_posterior_of_a_quadratic_loss_is_the_gaussian_of_its_curvature():
    """Loss ½ Σ c (θ - μ)²: h is c, m is the ridge estimate c μ / (c + δ), σ² is 1 / (λ (c + δ))."""
    curvature, centre, decay, ess = torch.tensor([0.5, 2.0, 8.0]), torch.tensor([1.0, -2.0, 0.5]), 0.5, 2.0
    theta = nn.Parameter(torch.zeros(400, 3))  # as many independent trainings, whose means have little noise
    made = ivon.Ivon([theta], 0.02, decay, {**PARAMS, "ess": ess, "hessian": 1.0, "beta2": 0.99}, seed=0)
    means, hessians = [], []
    for number in range(800):
        for group in made.param_groups:
            group["lr"] = 0.1 * (1 - number / 800)
        with made.sampled(number):
            theta.grad = curvature * (theta.detach() - centre)
        made.step()
        if number >= 500:
            means.append(theta.detach().mean(0))
            hessians.append(made.state[theta]["hessian"].mean(0))
    torch.testing.assert_close(torch.stack(means).mean(0), curvature * centre / (curvature + decay), atol=0.01, rtol=0)
    torch.testing.assert_close(torch.stack(hessians).mean(0), curvature, atol=0, rtol=0.03)
    variance = made.std()[theta].square().mean(0)
    torch.testing.assert_close(variance, 1 / (ess * (curvature + decay)), atol=0, rtol=0.05)


def test_a_sample_has_the_posteriors_spread_and_leaves_no_trace():
    theta = nn.Parameter(torch.full((20_000,), 3.0))
    made = ivon.Ivon([theta], 0.1, 0.5, {**PARAMS, "ess": 4.0, "hessian": 0.5}, seed=3)
    drawn = []
    for number in (0, 0, 1):
        with made.sampled(number):
            drawn.append(theta.detach().clone())
        assert torch.equal(theta.detach(), torch.full((20_000,), 3.0))
    assert torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[0], drawn[2])
    assert abs(drawn[0].mean() - 3) < 0.02 and abs(drawn[0].var() - 0.25) < 0.01


def test_steps_are_the_papers_recurrences():
    rng, steps = np.random.default_rng(0), 6
    gradients, start = rng.normal(size=(steps, 5)), rng.normal(size=5)
    of = {"ess": 30.0, "hessian": 0.2, "clip": 0.7, "beta1": 0.8, "beta2": 0.9}
    theta = nn.Parameter(torch.tensor(start))
    made = ivon.Ivon([theta], 0.05, 0.1, of, seed=7)
    m, g, h = start.copy(), np.zeros(5), np.full(5, 0.2)
    for t in range(1, steps + 1):
        with made.sampled(t):
            noise = theta.detach().numpy() - m
            theta.grad = torch.tensor(gradients[t - 1])
        made.step()
        variance = 1 / (of["ess"] * (h + 0.1))
        g = 0.8 * g + 0.2 * gradients[t - 1]
        estimate = gradients[t - 1] * noise / variance
        h = 0.9 * h + 0.1 * estimate + 0.5 * 0.1**2 * (h - estimate) ** 2 / (h + 0.1)
        m = m - 0.05 * np.clip((g / (1 - 0.8**t) + 0.1 * m) / (h + 0.1), -0.7, 0.7)
        np.testing.assert_allclose(theta.detach().numpy(), m, rtol=1e-6)
        np.testing.assert_allclose(made.state[theta]["hessian"].numpy(), h, rtol=1e-5)
    assert (h + 0.1 > 0).all()


def test_the_last_step_keeps_the_spread_of_factors_and_head():
    how = posterior_recipe("ivon")
    model = read_out("ivon", how)
    found = ivon.terms(model, how, len(DATA["train"]))
    steps = how.optimiser.steps(len(DATA["train"]))
    for number in range(steps):
        with found.around(number):
            sum((p * p).sum() for p in trainable(model).values()).backward()
        found.optimiser.step()
        found.optimiser.zero_grad()
        assert (number == steps - 1) or not any(std.any() for _, _, std in ivon._stds(model))
        found.after(number, 1.0)
    names = {
        name for name, _, std in ivon._stds(model) if torch.equal(std, found.optimiser.std()[_by_name(model, name)])
    }
    assert names == set(trainable(model)) and any("lora_B" in name for name in names)


def _by_name(model, name):
    return dict(model.named_parameters())[name]
