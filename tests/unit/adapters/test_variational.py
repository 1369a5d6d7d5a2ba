"""Divergences, noise and schedules of variational adapters, against torch's distributions and their definitions."""

import numpy as np
import pytest
import torch
from posterior_kinds import job_terms, posterior_recipe, read_out
from torch.distributions import Bernoulli, Normal, kl_divergence

from peftuq.adapters import blob, dalora, drawn, kl_descent, rank_gates, scalabl
from peftuq.training.step import Step


def test_blobs_divergence():
    torch.manual_seed(0)
    mean, std = torch.randn(3, 5), torch.rand(3, 5) + 0.1
    expected = kl_divergence(Normal(mean, std), Normal(0.0, 0.2)).sum()
    torch.testing.assert_close(blob.kl(mean, std, 0.2), expected)


def test_scalabls_divergence_and_that_of_its_code():
    torch.manual_seed(0)
    mean, std = torch.randn(6), torch.rand(6) + 0.1
    q, p = Normal(mean, std), Normal(torch.zeros(6), torch.ones(6))
    torch.testing.assert_close(scalabl.kl(mean, std), kl_divergence(q, p).sum())
    torch.testing.assert_close(scalabl.kl(mean, std, "code"), kl_divergence(p, q).sum())


@pytest.mark.parametrize("prior", [0.5, 0.9])
def test_daloras_divergence(prior):
    phi = torch.tensor([-40.0, -3.0, 0.0, 2.0, 40.0], dtype=torch.float64)
    probability = torch.full_like(phi, prior)
    expected = kl_divergence(Bernoulli(logits=phi), Bernoulli(probs=probability)).sum()
    torch.testing.assert_close(dalora.kl(phi, prior), expected)


# -- noise ----------------------------------------------------------------------------------------------


def flipout(reference: str) -> blob.FlipoutFactor:
    model = read_out("blob", posterior_recipe("blob", {"reference": reference}))
    _, factor = next(blob.factors(model))
    with torch.no_grad():
        factor.G.uniform_(0.5, 1.0)
    return factor


@pytest.mark.parametrize("reference", ["paper", "code"])
@torch.no_grad()
def test_flipouts_mean_is_the_mean(reference):
    A = flipout(reference)
    x = torch.randn(1, 1, A.in_features)
    mean, std = A.eval()(x)[0, 0], (x[0, 0].square() @ A.G.pow(4).T).sqrt()
    found = A.train()(x.expand(20_000, 3, -1))
    for position in range(3):  # signs are independent of each other, the noise they turn is one
        torch.testing.assert_close(found[:, position].mean(dim=0), mean, atol=4 * float(std.max()) / 140, rtol=0)


@torch.no_grad()
def test_over_its_draws_an_output_has_the_variance_of_the_posterior():
    A = flipout("paper").train()
    x = torch.randn(1, 1, A.in_features)
    found = torch.stack([A(x)[0, 0] for _ in range(1000)]).std(dim=0)
    torch.testing.assert_close(found, (x[0, 0].square() @ A.G.pow(4).T).sqrt(), rtol=0.1, atol=0)


@torch.no_grad()
def test_signs_are_an_examples_in_the_paper_and_a_positions_in_the_code():
    same = {}
    for reference in ("paper", "code"):
        A = flipout(reference).train()
        y = A(torch.ones(8, 16, A.in_features))
        assert len(y[:, 0].unique(dim=0)) > 1  # examples differ
        same[reference] = torch.allclose(y, y[:, :1])
    assert same == {"paper": True, "code": False}


@torch.no_grad()
def test_draws_have_the_moments_of_their_posteriors():
    source = drawn.generator(0, 0)
    for name, params in (("blob", {"epsilon": 0.9}), ("scalabl", {"epsilon": 0.2}), ("dalora", {"prior": 0.7})):
        model = read_out(name, posterior_recipe(name, params))
        module = {"blob": blob, "scalabl": scalabl, "dalora": dalora}[name]
        key = next(iter(module.draw(model, source)))
        draws = torch.stack([module.draw(model, source)[key] for _ in range(400)])
        mean, factor = dict(model.named_parameters())[key], model.get_submodule(key.rpartition(".")[0])
        if name == "blob":
            std = factor.G.square()
        elif name == "scalabl":
            std = (factor.log_std - factor.log_s).exp() * mean.abs()
        else:
            p = factor.phi.sigmoid()
            std = mean.abs() * ((1 - p) / p).sqrt()
        torch.testing.assert_close(draws.mean(dim=0), mean, atol=float(4 * std.max() / 400**0.5), rtol=0)
        torch.testing.assert_close(draws.std(dim=0), std, rtol=0.25, atol=1e-4)


def test_a_relaxed_mask_is_a_bernoullis_at_temperature_zero():
    model = read_out("dalora", posterior_recipe("dalora", {"prior": 0.7, "temperature": 0.01}))
    layer = next(factor for _, factor in rank_gates.factors(model))
    phi, source = layer.phi.detach().flatten()[:1].expand(20_000), torch.Generator().manual_seed(0)
    relaxed = layer.sample(phi, generator=source, relaxed=True)
    assert float(((relaxed > 0.01) & (relaxed < 0.99)).float().mean()) < 0.05
    assert float(relaxed.mean()) == pytest.approx(0.7, abs=0.02)
    assert layer.sample(phi, generator=source, relaxed=False).unique().tolist() == [0.0, 1.0]


def test_scalabl_begins_as_the_lora_it_replaces():
    torch.manual_seed(0)
    model = read_out("scalabl", posterior_recipe("scalabl"))
    _, factor = next(rank_gates.factors(model))
    V = factor.V.detach()
    torch.testing.assert_close(V @ V.T, torch.eye(len(V)))
    assert all(bool((layer.gates[1].exp() >= 0.05 / 2**0.5).all()) for _, layer in rank_gates.factors(model))


# -- steps ----------------------------------------------------------------------------------------------


def test_the_weights_of_a_cycle_double_and_add_up_to_one_divergence():
    assert kl_descent.cycle(640, 4, 8.0) == int(100 * 640 ** (np.pi / 8) / 4) == 316
    assert kl_descent.cycle(1, 10_000, 8.0) == 1
    for length in (1, 5, 40):
        found = [kl_descent.weight(step, length) for step in range(length)]
        exact = [2**i / (2 ** (length + 1) - 1) for i in range(1, length + 1)]
        assert found == pytest.approx(exact) and kl_descent.weight(length, length) == found[0]
    assert sum(kl_descent.weight(step, 5000) for step in range(5000)) == pytest.approx(1)  # no overflow


@pytest.mark.parametrize("name", ["blob", "scalabl"])
def test_a_kls_own_step_is_that_of_sgd(name):
    how = posterior_recipe(name, {"kl_lr": 0.5})
    model, other, length = read_out(name, how), read_out(name, how), kl_descent.cycle(18, 4, 8.0)
    job_terms(name, model, how, 18).after(length - 1, 0.25)
    module = {"blob": blob, "scalabl": scalabl}[name]
    sgd = torch.optim.SGD(other.parameters(), lr=0.5 * 0.25 * kl_descent.weight(length - 1, length))
    if name == "blob":
        loss = sum(module.kl(m, g.square(), 0.2) for m, g in ((f.weight, f.G) for _, f in module.factors(other)))
    else:
        loss = sum(module.kl(s.exp(), v.exp()) for s, v in (layer.gates for _, layer in rank_gates.factors(other)))
    loss.backward()
    sgd.step()
    fresh, moved = dict(read_out(name, how).named_parameters()), []
    for key, parameter in model.named_parameters():
        torch.testing.assert_close(parameter, dict(other.named_parameters())[key])
        moved += [key] if not torch.equal(parameter, fresh[key]) else []
    assert moved and all("lora_A" in key for key in moved)


def test_dalora_adds_its_share_of_the_divergence_and_gives_phi_its_rate():
    how = posterior_recipe("dalora", {"lr": 0.03})
    model = read_out("dalora", how)
    found = job_terms("dalora", model, how, 18)
    with torch.no_grad():
        for _, layer in rank_gates.factors(model):
            layer.gates[0].fill_(0.3)
    gates = [layer.gates[0] for _, layer in rank_gates.factors(model)]
    assert found.penalty().item() == pytest.approx(sum(dalora.kl(phi, 0.9).item() for phi in gates) / 18)
    step = Step(model, how, lambda *_: None, found.penalty, torch.float32, terms=found)
    by_rate = {group["lr"]: {id(p) for p in group["params"]} for group in step.optimiser.param_groups}
    assert by_rate[0.03] == {id(phi) for phi in gates} and len(by_rate[0.01]) == len(step.parameters) - len(gates)
