"""Layers that recompute, each against its formula: values, gradients, masks."""

import copy

import pytest
import tiny
import torch
import torch.nn.functional as F
from peft import LoraConfig, get_peft_model
from peft.tuners.lora import Linear as LoraLinear
from torch import nn
from torch.autograd import gradcheck

from peftuq.models import vocabulary
from peftuq.models.recompute import lora
from peftuq.models.recompute.dropout import draw_seed, dropped
from peftuq.models.recompute.gated import gated
from peftuq.models.recompute.install import recompute
from peftuq.models.recompute.norm import gemma_norm, llama_norm
from peftuq.models.recompute.projection import projection

D_IN, D_OUT, RANK, SCALE = 7, 5, 3, 2.0


def new(*shape, grad=True):
    return torch.randn(*shape, dtype=torch.float64, requires_grad=grad)


def wrapped(p: float = 0.0, **settings) -> LoraLinear:
    """A model of one layer with LoRA, B ≠ 0, in training mode."""
    torch.manual_seed(0)
    config = LoraConfig(r=RANK, lora_alpha=SCALE * RANK, lora_dropout=p, target_modules=["0"], **settings)
    model = get_peft_model(nn.Sequential(nn.Linear(D_IN, D_OUT)), config).double().train()
    recompute(model)
    module = model.base_model.model[0]
    nn.init.normal_(module.lora_B["default"].weight)
    return module


def peft_says(module, x):
    return LoraLinear.forward(module, x)


@pytest.mark.parametrize("p", [0.05, 0.5])
def test_share_of_the_dropped(p):
    mask = dropped(torch.empty(400, 1000), p, 3)
    expected = round(p * 2**16) / 2**16
    for share in (mask.double().mean(), mask[:, ::4].double().mean(), mask[::7].double().mean()):
        assert share == pytest.approx(expected, abs=5 * (p * (1 - p) / 5e4) ** 0.5)
    assert expected == pytest.approx(p, abs=2**-17)


def test_masks_are_functions_of_the_seed():
    x = torch.empty(3, 11)
    assert torch.equal(dropped(x, 0.5, 1), dropped(x, 0.5, 1))
    assert not torch.equal(dropped(x, 0.5, 1), dropped(x, 0.5, 2))
    torch.manual_seed(0)
    one, other = draw_seed(), draw_seed()
    torch.manual_seed(0)
    assert one != other and draw_seed() == one


@pytest.mark.parametrize("p", [0.0, 0.3])
@pytest.mark.parametrize("of_input", [True, False])
def test_linear_and_its_gradients(p, of_input):
    x, W, b, A, B = (
        new(4, 6, D_IN, grad=of_input),
        new(D_OUT, D_IN, grad=False),
        new(D_OUT, grad=False),
        new(RANK, D_IN),
        new(D_OUT, RANK),
    )
    how = lora.Correction(SCALE / (1 - p), p, 9, torch.float64)
    seen = x.masked_fill(dropped(x.view(-1, D_IN), p, 9).view_as(x), 0) / (1 - p)
    y = lora._Linear.apply(x, W, b, A, B, how)
    torch.testing.assert_close(y, F.linear(x, W, b) + SCALE * seen @ A.T @ B.T, rtol=1e-12, atol=1e-12)
    assert gradcheck(lambda x, A, B: lora._Linear.apply(x, W, b, A, B, how), (x, A, B))


@pytest.mark.parametrize("p", [0.0, 0.3])
def test_gated_linear_and_its_gradients(p):
    gate, up, W, A, B = (
        new(2, 4, D_IN),
        new(2, 4, D_IN),
        new(D_OUT, D_IN, grad=False),
        new(RANK, D_IN),
        new(D_OUT, RANK),
    )
    how = lora.Correction(SCALE / (1 - p), p, 9, torch.float64)
    u = F.silu(gate) * up
    torch.testing.assert_close(
        lora._GatedLinear.apply(gate, up, F.silu, W, None, A, B, how), lora._Linear.apply(u, W, None, A, B, how)
    )
    assert gradcheck(lambda *of: lora._GatedLinear.apply(of[0], of[1], F.silu, W, None, *of[2:], how), (gate, up, A, B))


def test_projection_and_its_gradients():
    x, W, V = new(3, 4, D_IN), new(RANK, D_IN), new(2, D_IN)
    y = projection(x, W, V, dtype=torch.float64, scale=SCALE)
    torch.testing.assert_close(y, SCALE * x @ torch.cat([W, V]).T, rtol=1e-12, atol=1e-12)

    def seeded(*of):
        torch.manual_seed(4)
        return projection(*of, dtype=torch.float64, scale=SCALE, p=0.4)

    assert gradcheck(seeded, (x, W, V)) and not torch.equal(seeded(x, W, V), y)


def test_gated_and_its_gradients():
    gate, up = new(3, D_IN), new(3, D_IN)
    assert torch.equal(gated(gate, up, F.silu), F.silu(gate) * up)
    assert gradcheck(lambda g, u: gated(g, u, F.silu), (gate, up))


NORMS = {"llama": llama_norm, "mistral": llama_norm, "qwen2": llama_norm, "gemma3": gemma_norm}


def norm_of(architecture):
    torch.manual_seed(0)
    module = tiny.build(tiny.DECODERS[architecture], "choice").base_model.norm.requires_grad_(False).train()
    nn.init.normal_(module.weight)
    return module


@pytest.mark.parametrize("architecture", NORMS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("autocast", [False, True])
def test_norm_to_the_bit(architecture, dtype, autocast):
    module = norm_of(architecture).to(dtype)
    x = (3 * torch.randn(4, 9, 16)).to(dtype).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        y, theirs = NORMS[architecture](module, x), module(x)
    assert "Norm" in type(y.grad_fn).__name__ and torch.equal(y, theirs) and y.dtype == theirs.dtype
    seed = torch.randn_like(y)
    (d,), (d_theirs,) = (torch.autograd.grad(of, x, seed) for of in (y, theirs))
    rtol = {torch.float32: 1e-5, torch.bfloat16: 2e-2}[dtype]
    torch.testing.assert_close(d, d_theirs, rtol=rtol, atol=rtol * float(d_theirs.abs().max()))


@pytest.mark.parametrize("architecture", NORMS)
def test_gradients_of_the_norm(architecture):
    module = norm_of(architecture).double()
    assert gradcheck(lambda x: NORMS[architecture](module, x), (new(3, 16),))


def test_training_draws_another_mask_each_call_and_the_same_from_the_same_seed():
    module, x = wrapped(0.5), new(20, D_IN)
    torch.manual_seed(3)
    first, second = module(x), module(x)
    torch.manual_seed(3)
    assert torch.equal(module(x), first) and not torch.equal(first, second)


def test_evaluation_is_pefts_own_and_passes_its_hooks():
    module, x, seen = wrapped(0.5).eval(), new(20, D_IN), []
    for part in (module.lora_dropout, module.lora_A, module.lora_B):
        part["default"].register_forward_hook(lambda layer, args, output: seen.append(layer))
    assert torch.equal(module(x), peft_says(module, x)) and len(seen) == 6


def disabled(module):
    module.enable_adapters(False)


def merged(module):
    module.merge()


def two_adapters(module):
    module.update_layer("other", RANK, 4, LoraConfig(r=RANK, lora_alpha=4, lora_dropout=0.0))
    module.double().set_adapter(["default", "other"])


def trained_base(module):
    module.base_layer.requires_grad_(True)


@pytest.mark.parametrize("change", [disabled, merged, two_adapters, trained_base])
def test_other_uses_of_a_layer_are_pefts_own(change):
    module, x = wrapped(), new(4, D_IN)
    change(module)
    assert lora.arguments(module, "cpu") is None
    assert torch.equal(module(x), peft_says(module, x))


@pytest.mark.parametrize("settings", [{"use_dora": True}, {"lora_bias": True}])
def test_variants_are_pefts_own(settings):
    module, x = wrapped(**settings), new(4, D_IN)
    assert lora.arguments(module, "cpu") is None and torch.equal(module(x), peft_says(module, x))


def test_a_copy_is_a_layer_of_its_own():
    module, x = wrapped(), new(4, D_IN)
    other = copy.deepcopy(module)
    nn.init.zeros_(other.lora_B["default"].weight)
    assert torch.equal(other(x), other.base_layer(x)) and not torch.equal(module(x), other(x))
    assert module.state_dict().keys() == wrapped().state_dict().keys()


@pytest.mark.parametrize("rows", [4, 7, 100])
def test_logsumexp_in_pieces(rows, monkeypatch):
    monkeypatch.setattr(vocabulary, "ROWS", rows)
    h, W = new(3, D_IN), new(23, D_IN, grad=False)
    expected = F.linear(h, W).logsumexp(dim=1)
    for form in (vocabulary.logsumexp, vocabulary.recomputed_logsumexp):
        torch.testing.assert_close(form(h, W), expected, rtol=1e-12, atol=1e-12)
    assert gradcheck(lambda h: vocabulary.recomputed_logsumexp(h, W), (h,))
    assert vocabulary.recomputed_logsumexp(h.float(), W.bfloat16()).dtype == torch.float32
