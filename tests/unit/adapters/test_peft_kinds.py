"""Kinds that are PEFT's own methods: what they compute, train, save and load; MonteCLoRA's part in a training."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from peft.tuners.ia3 import IA3Layer
from peft.tuners.ln_tuning.layer import LNTuningLayer
from peft.tuners.lora import LoraLayer
from posterior_kinds import DECODER
from recipes import recipe
from test_readout import LENGTHS, tokens
from tiny import DECODERS, build
from torch.distributions import Dirichlet, MultivariateNormal, kl_divergence
from trainings import DATA, job, train, weights

from peftuq.adapters import full, ia3, lora, mc_lora
from peftuq.adapters.peft_lora import trainable
from peftuq.adapters.protocol import terms
from peftuq.config.methods import Methods
from peftuq.config.recipe import Recipe
from peftuq.config.study import PACKAGE
from peftuq.errors import UserError
from peftuq.training.assemble import assemble

NONE = {"rank": None, "alpha": None, "dropout": None}
ADAPTERS = {
    ia3: {**NONE, "ia3": {}},
    full: {**NONE, "full": {}},
    mc_lora: {"dropout": 0.0, "mc_lora": {**mc_lora.KIND.params, "sample_scale": 0.1}},
}
EVERY = pytest.mark.parametrize("module", ADAPTERS, ids=lambda module: module.KIND.section)


def how(module, **changes) -> Recipe:
    return recipe(adapter={"targets": ["q", "v", "down"], **ADAPTERS[module]}, **changes)


def read_out(module, dtype=torch.float32):
    hf = build(DECODERS["llama"], "choice").to(dtype)
    torch.manual_seed(0)
    return assemble(hf, module, how(module), DECODER, "choice", [50, 51, 52])


def moved(module, dtype=torch.float32):
    """A model whose trained numbers are not those that they start with."""
    model = read_out(module, dtype)
    with torch.no_grad():
        for number, parameter in enumerate(trainable(model).values()):
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(number)))
    return model


@EVERY
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_training_reaches_everything_and_what_is_saved_is_the_same_again(tmp_path, module, dtype):
    model = moved(module, dtype)
    assert all(parameter.dtype == torch.float32 for parameter in trainable(model).values())
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        model.train()(tokens(0), LENGTHS).logits[:, 0].sum().backward()
        kept = model.eval()(tokens(0), LENGTHS).logits
        model.model.save_pretrained(tmp_path, save_embedding_layers=False)
        hf = build(DECODERS["llama"], "choice").to(dtype)
        loaded = module.read_out(module.load(hf, tmp_path), hf, [50, 51, 52], None).eval()
        assert torch.equal(loaded(tokens(0), LENGTHS).logits, kept)
    reached = {name for name, p in trainable(model).items() if p.grad is not None and p.grad.any()}
    assert {name for name in trainable(model) if "weights_prior" not in name and "std_prior" not in name} <= reached
    saved = dict(loaded.named_parameters())
    assert all(torch.equal(saved[name], p) for name, p in trainable(model).items())


def test_ia3_scales_outputs_and_the_inputs_of_down():
    model = moved(ia3).eval()
    layers = {name.rpartition(".")[2]: m for name, m in model.named_modules() if isinstance(m, IA3Layer)}
    assert set(layers) == {"q_proj", "v_proj", "down_proj"}
    for name, layer in layers.items():
        (factors,) = layer.ia3_l.values()
        x, weight = torch.randn(5, layer.in_features), layer.base_layer.weight
        wanted = (x * factors.flatten()) @ weight.T if name == "down_proj" else x @ weight.T * factors.flatten()
        torch.testing.assert_close(layer(x), wanted)
    assert sum(p.numel() for p in trainable(read_out(ia3)).values()) == 2 * (16 + 8 + 24)  # of two blocks


def test_full_fine_tuning_is_a_model_with_other_weights():
    model = moved(full).eval()
    hf = build(DECODERS["llama"], "choice")
    plain = lora.read_out(hf, hf, [50, 51, 52], None).eval()
    before = plain(tokens(0), LENGTHS).logits
    for name, module in model.hf.named_modules():
        if isinstance(module, LNTuningLayer):
            hf.get_submodule(name).load_state_dict(module.ln_tuning_layers["default"].state_dict())
    torch.testing.assert_close(plain(tokens(0), LENGTHS).logits, model(tokens(0), LENGTHS).logits)
    assert not torch.allclose(before, model(tokens(0), LENGTHS).logits)


def test_monteclora_trains_with_a_mean_of_draws_around_a_and_is_lora_without_them():
    model = moved(mc_lora)
    layer = next(module for module in model.modules() if isinstance(module, LoraLayer))
    A, B, sampler = (
        layer.lora_A["default"].weight,
        layer.lora_B["default"].weight,
        layer.lora_monteclora_sampler["default"],
    )
    x = torch.randn(5, layer.in_features)
    torch.manual_seed(3)
    noise, shares = sampler()
    drawn = A + sum(share * one.T for share, one in zip(shares, noise, strict=True))
    torch.manual_seed(3)
    torch.testing.assert_close(layer.train()(x), layer.base_layer(x) + 2 * F.linear(x @ drawn.T, B))
    torch.testing.assert_close(layer.eval()(x), layer.base_layer(x) + 2 * F.linear(x @ A.T, B))


def test_peft_s_penalty_is_that_of_the_docstring():
    model = moved(mc_lora)
    sampler = next(mc_lora.samplers(model.train()))
    covariance = torch.diag(torch.tensor([0.5, 3.0]))
    apart = kl_divergence(
        MultivariateNormal(torch.zeros(2), covariance), MultivariateNormal(torch.zeros(2), torch.eye(2))
    )
    torch.testing.assert_close(sampler.multivariate_kl(covariance), sampler.num_samples * apart)
    alpha, prior = torch.linspace(0.5, 2, 8), torch.full((8,), 0.1)
    turned = 2 * (torch.lgamma(alpha) - torch.lgamma(prior)).sum()
    wanted = kl_divergence(Dirichlet(alpha), Dirichlet(prior)) + turned
    torch.testing.assert_close(sampler.dirichlet_kl(alpha), wanted, rtol=1e-4, atol=1e-4)
    model(tokens(0), LENGTHS)
    penalty = terms(mc_lora, model, how(mc_lora), 18).penalty()
    each = [sum(one.get_variational_loss()) for one in mc_lora.samplers(model)]
    torch.testing.assert_close(penalty, torch.stack(each).mean())
    penalty.backward()
    assert all(one.std_prior.grad.any() and one.expert_weights_prior.grad.any() for one in mc_lora.samplers(model))


def test_a_resumed_training_of_monteclora_is_bit_identical(tmp_path):
    def trained(folder, stop=None):
        model, wanted = read_out(mc_lora), how(mc_lora, optimiser={"epochs": 1}, checkpoint_steps=1)
        found = replace(job(folder, wanted), terms=terms(mc_lora, model, wanted, len(DATA["train"])))
        train(model, found, stop)
        return model

    whole = trained(tmp_path / "whole")
    trained(tmp_path / "parts", stop=3)
    resumed = trained(tmp_path / "parts")
    fresh = weights(read_out(mc_lora))
    for name, value in weights(whole).items():
        assert torch.equal(value, weights(resumed)[name]) and not torch.equal(value, fresh[name]), name
    buffers = dict(resumed.named_buffers())
    assert all(torch.equal(buffer, buffers[name]) for name, buffer in whole.named_buffers())


@pytest.mark.parametrize(
    "adapter, message",
    [
        ({"rank": None}, "r: key 'adapter.rank' is missing"),
        (
            {"ia3": {}, "rank": None, "alpha": None},
            "r: adapter.dropout: adapter.ia3 has none: remove it, or write null",
        ),
    ],
)
def test_a_rank_is_given_exactly_where_there_is_one(adapter, message):
    with pytest.raises(UserError) as failure:
        Methods(PACKAGE, {}, "").recipe(recipe(adapter=adapter), "r")
    assert str(failure.value) == message
