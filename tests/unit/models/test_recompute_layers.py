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
from peftuq.models.recompute.dropout import draw_seed, drop, dropped, kept
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


def layer(outputs=D_OUT, rank=RANK, bias=True):
    b = new(outputs, grad=False) if bias else None
    return lora.Layer(new(outputs, D_IN, grad=False), b, new(rank, D_IN), new(outputs, rank))


def correction(p):
    return lora.Correction(SCALE / (1 - p), p, 9, torch.float64)


@pytest.mark.parametrize("p", [0.0, 0.3])
@pytest.mark.parametrize("of_input", [True, False])
@pytest.mark.parametrize("count", [1, 2])
def test_layers_of_one_input_and_their_gradients(p, of_input, count):
    layers = [layer(), layer(4, 2, bias=False)][:count]
    x = new(4, 6, D_IN, grad=of_input)
    seen = x.masked_fill(dropped(x.view(-1, D_IN), p, 9).view_as(x), 0) / (1 - p)
    found = lora._Linears.apply(x, correction(p), *lora._flat(layers))
    for y, (W, b, A, B) in zip(found, layers, strict=True):
        torch.testing.assert_close(y, F.linear(x, W, b) + SCALE * seen @ A.T @ B.T, rtol=1e-12, atol=1e-12)
    assert gradcheck(lambda *of: lora._Linears.apply(of[0], correction(p), *of[1:]), (x, *lora._flat(layers)))


@pytest.mark.parametrize("p", [0.0, 0.3])
def test_gated_linear_and_its_gradients(p):
    gate, up, one = new(2, 4, D_IN), new(2, 4, D_IN), layer(bias=False)
    y = lora._GatedLinear.apply(gate, up, F.silu, correction(p), *one)
    torch.testing.assert_close(y, lora._Linears.apply(F.silu(gate) * up, correction(p), *one)[0])
    assert gradcheck(lambda *of: lora._GatedLinear.apply(*of[:2], F.silu, correction(p), *of[2:]), (gate, up, *one))


class Attention(nn.Module):
    """Three layers of one input, or of three."""

    def __init__(self):
        super().__init__()
        self.q_proj, self.k_proj, self.v_proj = (nn.Linear(D_IN, D_OUT) for _ in range(3))

    def forward(self, *inputs):
        return [layer(x) for layer, x in zip((self.q_proj, self.k_proj, self.v_proj), inputs, strict=True)]


def attention(p=0.0, targets=("q_proj", "k_proj", "v_proj")) -> Attention:
    torch.manual_seed(0)
    config = LoraConfig(r=RANK, lora_alpha=SCALE * RANK, lora_dropout=p, target_modules=list(targets))
    model = get_peft_model(Attention(), config).double().train()
    recompute(model)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            nn.init.normal_(parameter)
    return model.base_model.model


def products(of, *inputs):
    """How many products with stacked or single A a forward pass makes; and that its results are PEFT's."""
    made, theirs = [], lora.linears
    with pytest.MonkeyPatch.context() as patch:
        for module in ("lora", "siblings"):
            name = f"peftuq.models.recompute.{module}.linears"
            patch.setattr(name, lambda layers, *of: made.append(len(layers)) or theirs(layers, *of))
        found = of(*inputs)
    expected = [type(m).forward(m, x) for m, x in zip((of.q_proj, of.k_proj, of.v_proj), inputs, strict=True)]
    for y, plain in zip(found, expected, strict=True):
        torch.testing.assert_close(y, plain, rtol=1e-12, atol=1e-12)
    return made


def test_layers_share_a_product_where_they_share_an_input():
    x, other = new(4, D_IN), new(4, D_IN)
    assert products(attention(), x, x, x) == [3]
    assert products(attention(targets=["q_proj", "v_proj"]), x, x, x) == [2]
    assert products(attention(), x, other, x) == [3, 3, 3]  # never another input's result


def test_a_layer_that_is_pefts_own_affair_leaves_the_others_to_themselves():
    module, x = attention(), new(4, D_IN)
    module.k_proj.enable_adapters(False)
    assert products(module, x, x, x) == [1, 1]


def test_no_result_outlives_its_forward_pass():
    module, x = attention(), new(4, D_IN)
    with pytest.raises(ValueError, match="zip"):
        module(x)  # stops after q
    nn.init.zeros_(module.v_proj.lora_B["default"].weight)
    assert torch.equal(module.v_proj(x), module.v_proj.base_layer(x))


def test_dropout_of_a_backbone():
    module, x = nn.Dropout(0.3), new(40, 50)
    torch.manual_seed(0)
    y = drop(module, x)
    torch.manual_seed(0)
    mask = dropped(x, 0.3, draw_seed())
    assert torch.equal(kept(x, 0.3, 5), (~dropped(x, 0.3, 5)).double())
    torch.testing.assert_close(y, x.masked_fill(mask, 0) / 0.7)
    seed = torch.randn_like(y)
    torch.testing.assert_close(torch.autograd.grad(y, x, seed)[0], seed.masked_fill(mask, 0) / 0.7)
    assert drop(module.eval(), x) is x


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
