"""SWAG's statistics against their definitions on trajectories that are known."""

import numpy as np
import pytest
import torch
from posterior_kinds import job_terms, posterior_recipe, read_out

from peftuq.adapters import drawn, swag
from peftuq.adapters.peft_lora import trainable

EXAMPLES = 400  # in batches of 4 three epochs: 300 steps
PARAMS = {"snapshots": 30, "rank": 4, "start": 0.5}


def walked(model, how, trajectory) -> None:
    """Go through a training whose iterates are given: `trajectory(step)` for every trained tensor."""
    after = job_terms("swag", model, how, EXAMPLES).after
    for step in range(how.optimiser.steps(EXAMPLES)):
        with torch.no_grad():
            for parameter in trainable(model).values():
                parameter.copy_(trajectory(step).to(parameter) * torch.ones_like(parameter))
        after(step, 1.0)


def test_snapshots_are_equally_far_apart_and_end_with_the_training():
    assert swag.snapshots(0.5, 5, 100) == [59, 69, 79, 89, 99]
    assert swag.snapshots(0.0, 3, 3) == [0, 1, 2]
    assert swag.snapshots(0.5, 60, 10) == [5, 6, 7, 8, 9]
    assert swag.snapshots(0.9, 2, 1) == [0]


@pytest.mark.parametrize("reference, scale", [("paper", 0.5), ("code", 1.0)])
def test_mean_variance_and_deviations_are_those_of_the_iterates(reference, scale):
    how = posterior_recipe("swag", {**PARAMS, "reference": reference})
    model = read_out("swag", how)
    values = torch.from_numpy(np.random.default_rng(0).normal(3.0, 0.01, 300)).float()
    walked(model, how, lambda step: values[step])
    late = values[np.array(swag.snapshots(0.5, 30, 300))].double()
    running = torch.stack([late[: n + 1].mean() for n in range(30)])
    _, factor = next(iter(swag._factors(model)))
    torch.testing.assert_close(factor.weight[0, 0].double(), late.mean(), rtol=1e-6, atol=0)
    torch.testing.assert_close(
        factor.collected_variance[0, 0].double(), scale * late.var(correction=0), rtol=1e-3, atol=0
    )
    expected = (late - running)[-4:] * (scale / 3) ** 0.5
    torch.testing.assert_close(factor.collected_deviations[:, 0, 0].double(), expected, rtol=0, atol=1e-6)
    head = [p for key, p in trainable(model).items() if "lora_" not in key]
    assert head and all(torch.allclose(p.double(), late.mean(), rtol=1e-6, atol=0) for p in head)  # averaged as well


def test_samples_have_the_covariance_of_a_gaussians_iterates():
    """Two directions that move together: SWAG finds half of their variance on the diagonal, and half of it shared."""
    how = posterior_recipe("swag", {"snapshots": 150, "rank": 150, "start": 0.5})
    model, rng = read_out("swag", how), np.random.default_rng(1)
    after = job_terms("swag", model, how, EXAMPLES).after
    names = [name for name, _ in swag._factors(model)]
    factors = [factor.weight for _, factor in swag._factors(model)]
    for step in range(300):
        z = rng.normal(size=2)
        with torch.no_grad():  # all elements of a layer's A are one number, and all of its B another, correlated 0.8
            factors[0].fill_(1 + 0.1 * z[0])
            factors[1].fill_(2 + 0.1 * (0.8 * z[0] + 0.6 * z[1]))
        after(step, 1.0)
    draws = []
    for number in range(700):
        found = swag.draw(model, drawn.generator(0, number))
        draws.append([float(found[f"{name}.weight"][0, 0]) for name in names[:2]])
    covariance = np.cov(np.array(draws).T)
    assert np.mean(draws, axis=0) == pytest.approx([1, 2], abs=0.03)
    assert covariance[0, 0] == pytest.approx(0.01, rel=0.25) and covariance[1, 1] == pytest.approx(0.01, rel=0.25)
    assert covariance[0, 1] == pytest.approx(0.5 * 0.8 * 0.01, rel=0.35)  # the diagonal half has none
