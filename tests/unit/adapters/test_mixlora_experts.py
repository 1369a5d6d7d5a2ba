"""The layers of MixLoRA against a plain loop over experts, each a network of its own."""

from unittest import mock

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from peft import LoraConfig
from peft.tuners.lora import Linear as LoraLinear
from torch import nn
from transformers import LlamaConfig
from transformers.models.llama.modeling_llama import LlamaMLP

from peftuq.adapters.mixlora import experts as mixture
from peftuq.adapters.mixlora import register  # noqa: F401
from peftuq.adapters.mixlora.config import MixLoraConfig
from peftuq.adapters.mixlora.experts import ROLES, expert_ffn
from peftuq.adapters.mixlora.experts_dense import dense_mixture
from peftuq.adapters.mixlora.layers import ExpertFFN, ExpertLinear
from peftuq.models.recompute.dropout import draw_seed, dropped

D, M, SCALE = 12, 20, 2.0
FORMS = [mixture.sorted_mixture, dense_mixture]  # of a processor, and of devices that work ahead of the host


def ffn(act: str = "silu", bias: bool = False, dtype: torch.dtype = torch.float32) -> LlamaMLP:
    config = LlamaConfig(hidden_size=D, intermediate_size=M, num_attention_heads=1, hidden_act=act, mlp_bias=bias)
    return LlamaMLP(config).to(dtype).requires_grad_(False)


def expert(factor_a, factor_b, e, n_experts):
    """One expert's own A (r, d) and B (d_out, r)."""
    return factor_a.unflatten(0, (n_experts, -1))[e], factor_b.unflatten(1, (n_experts, -1))[:, e]


def lora(linear, x, seen, a, b):
    return linear(x) + SCALE * (seen @ a.T) @ b.T


def loop_ffn(h, net, A, B, weights, experts, n_experts, seen_h=None, drop_u=lambda u: u):
    """Each expert is a LoRA'd FFN; its output counts with the weight the token gives it."""
    seen_h, y = h if seen_h is None else seen_h, 0
    for e in range(n_experts):
        gate, up, down = (expert(A[role], B[role], e, n_experts) for role in ROLES)
        u = net.act_fn(lora(net.gate_proj, h, seen_h, *gate)) * lora(net.up_proj, h, seen_h, *up)
        share = (weights * (experts == e)).sum(dim=-1, keepdim=True)
        y = y + share * lora(net.down_proj, u, drop_u(u), *down)
    return y


def loop_linear(x, linear, A, B, weights, experts, n_experts):
    y = 0
    for e in range(n_experts):
        share = (weights * (experts == e)).sum(dim=-1, keepdim=True)
        y = y + share * lora(linear, x, x, *expert(A, B, e, n_experts))
    return y


def loop_route(x, router, k):
    probabilities = (x @ router.T).softmax(dim=-1)
    kept, experts = torch.topk(probabilities, k, dim=-1)
    return kept / kept.sum(dim=-1, keepdim=True), experts


def layer(cls, base, **sizes):
    sizes = {"r": 3, "lora_dropout": 0.0, "num_experts": 4, "top_k": 2, **sizes}
    config = MixLoraConfig(lora_alpha=SCALE * sizes["r"], **sizes)
    made = cls(base, "default", config)
    for parameter in made.parameters():
        if parameter.requires_grad:
            nn.init.normal_(parameter, std=0.4)
    return made


def assert_same(ours, loop, inputs):
    """Outputs, and gradients of a random function of them by `inputs`, to 2e-5 of the largest number (or of 1)."""
    seed = torch.randn_like(loop)
    gradients = (torch.autograd.grad(y, inputs, seed, retain_graph=True) for y in (ours, loop))
    for a, b in [(ours, loop), *zip(*gradients, strict=True)]:
        torch.testing.assert_close(a, b, rtol=0, atol=2e-5 * max(1, b.detach().abs().max().item()))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("act, bias", [("silu", False), ("gelu_pytorch_tanh", True)])
@pytest.mark.parametrize("sizes", [{}, {"top_k": 4}, {"top_k": 1}, {"num_experts": 8, "top_k": 3, "r": 1}])
def test_ffn_experts_equal_the_loop(act, bias, sizes, form, monkeypatch):
    monkeypatch.setattr(mixture, "sorted_mixture", form)
    torch.manual_seed(0)
    net = ffn(act, bias)
    ours = layer(ExpertFFN, net, **sizes)
    config, router = ours.configs["default"], ours.mixlora_router["default"]
    x = torch.randn(2, 5, D, requires_grad=True)
    A, B = ours.factors("A", "default"), ours.factors("B", "default")
    y = loop_ffn(x, net, A, B, *loop_route(x, router, config.top_k), config.num_experts)
    assert_same(ours(x), y, [x, router, *A.values(), *B.values()])


@pytest.mark.parametrize("sizes", [{}, {"top_k": 4}, {"top_k": 1}])
def test_linear_experts_equal_the_loop(sizes):
    torch.manual_seed(1)
    linear = nn.Linear(D, M).requires_grad_(False)
    ours = layer(ExpertLinear, linear, **sizes)
    config, router = ours.configs["default"], ours.mixlora_router["default"]
    x = torch.randn(2, 5, D, requires_grad=True)
    A, B = ours.mixlora_A_linear["default"], ours.mixlora_B_linear["default"]
    y = loop_linear(x, linear, A, B, *loop_route(x, router, config.top_k), config.num_experts)
    assert_same(ours(x), y, [x, router, A, B])


@settings(max_examples=30)
@given(
    tokens=st.integers(1, 12), n_experts=st.integers(1, 6), rank=st.integers(1, 3), data=st.data(),
    seed=st.integers(0, 99), form=st.sampled_from(FORMS),
)  # fmt: skip
def test_any_routing_equals_the_loop_in_double_precision(tokens, n_experts, rank, data, seed, form):
    """Also routings that no router would choose: all tokens on one expert, experts without tokens."""
    top_k = data.draw(st.integers(1, n_experts))
    experts = torch.tensor(
        [data.draw(st.permutations(range(n_experts)), label="experts")[:top_k] for _ in range(tokens)]
    )
    torch.manual_seed(seed)
    net = ffn(dtype=torch.float64)

    def new(*shape):
        return torch.randn(*shape, dtype=torch.float64, requires_grad=True)

    stacked = n_experts * rank
    A = {"gate": new(stacked, D), "up": new(stacked, D), "down": new(stacked, M)}
    B = {"gate": new(M, stacked), "up": new(M, stacked), "down": new(D, stacked)}
    h, weights = new(tokens, D), new(tokens, top_k)
    with mock.patch.object(mixture, "sorted_mixture", form):
        ours = expert_ffn(h, net, A, B, weights, experts, n_experts, SCALE, nn.Identity())
    loop = loop_ffn(h, net, A, B, weights, experts, n_experts)
    inputs = [h, weights, *A.values(), *B.values()]
    torch.testing.assert_close(ours, loop, rtol=1e-9, atol=1e-9)
    ones = torch.ones_like(loop)
    for a, b in zip(torch.autograd.grad(ours, inputs, ones), torch.autograd.grad(loop, inputs, ones), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("form", FORMS)
def test_dropout_is_one_mask_an_input_shared_by_the_experts(form, monkeypatch):
    monkeypatch.setattr(mixture, "sorted_mixture", form)
    net, p = ffn(), 0.3
    ours = layer(ExpertFFN, net, lora_dropout=p).train()
    x = torch.randn(1, 9, D, requires_grad=True)
    router, A, B = ours.mixlora_router["default"], ours.factors("A", "default"), ours.factors("B", "default")
    torch.manual_seed(5)
    y = ours(x)
    torch.manual_seed(5)
    of_h, of_u = dropped(x[0], p, draw_seed()), dropped(torch.empty(9, M), p, draw_seed())
    assert not torch.equal(of_h, of_u[:, :D])
    loop = loop_ffn(
        x, net, A, B, *loop_route(x, router, 2), 4, seen_h=x.masked_fill(of_h, 0) / (1 - p),
        drop_u=lambda u: u.masked_fill(of_u, 0) / (1 - p),
    )  # fmt: skip
    assert_same(y, loop, [x, router, *A.values(), *B.values()])


@pytest.mark.parametrize("cls, make", [(ExpertFFN, ffn), (ExpertLinear, lambda: nn.Linear(D, D))])
def test_dropout_samples_in_training_only(cls, make):
    ours, x = layer(cls, make(), lora_dropout=0.5), torch.randn(1, 9, D)
    assert not torch.equal(ours.train()(x), ours(x))
    assert torch.equal(ours.eval()(x), ours(x))


def test_ties_go_to_the_experts_that_topk_names():
    net, x = ffn(), torch.randn(1, 6, D)
    ours = layer(ExpertFFN, net)
    router = nn.init.zeros_(ours.mixlora_router["default"].data)
    routed = loop_route(x, router, 2)
    assert torch.equal(routed[0], torch.full((1, 6, 2), 0.5))
    y = loop_ffn(x, net, ours.factors("A", "default"), ours.factors("B", "default"), *routed, 4)
    torch.testing.assert_close(ours(x), y, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("where", ["ffn", "linear"])
def test_one_expert_is_plain_lora(where):
    """PEFT's own LoRA with the same factors, on the three layers of the FFN or on the one layer."""
    net = ffn()
    ours = layer(ExpertFFN, net, num_experts=1, top_k=1) if where == "ffn" else None
    ours = ours or layer(ExpertLinear, net.up_proj, num_experts=1, top_k=1)
    x, config = torch.randn(2, 4, D), LoraConfig(r=3, lora_alpha=6, lora_dropout=0.0)
    plain = {}
    for role, a in ours.factors("A", "default").items():
        base = net.up_proj if where == "linear" else getattr(net, f"{role}_proj")
        plain[role] = LoraLinear(base, "default", config, r=3, lora_alpha=6)
        plain[role].lora_A["default"].weight.data = a.data
        plain[role].lora_B["default"].weight.data = ours.factors("B", "default")[role].data
    u = x if where == "linear" else F.silu(plain["gate"](x)) * plain["up"](x)
    torch.testing.assert_close(ours(x), plain.get("linear", plain.get("down"))(u), rtol=1e-5, atol=1e-5)


def test_frozen_matrices_see_each_token_once():
    net, seen = ffn(), {}
    for role in ROLES:
        getattr(net, f"{role}_proj").register_forward_hook(
            lambda _, args, out, role=role: seen.setdefault(role, []).append(tuple(out.shape))
        )
    layer(ExpertFFN, net, num_experts=8, top_k=3)(torch.randn(2, 5, D))
    assert seen == {"gate": [(10, M)], "up": [(10, M)], "down": [(10, D)]}


@pytest.mark.parametrize("form", FORMS)
def test_keeps_less_for_the_backward_pass_than_plain_lora(form, monkeypatch):
    """The numbers of width `inner` a token, K = 2: only W1 h and W3 h, not one set for each of its experts."""
    monkeypatch.setattr(mixture, "sorted_mixture", form)
    ours, kept, tokens = layer(ExpertFFN, ffn(), lora_dropout=0.1), set(), 64
    own = {p.data_ptr() for p in ours.parameters()}

    def pack(tensor):
        if tensor.shape[0] == tokens and tensor.shape[-1] == M and tensor.data_ptr() not in own:
            kept.add(tensor.data_ptr())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        y = ours(torch.randn(1, tokens, D, requires_grad=True))
    assert len(kept) == 2 and y.requires_grad


def test_router_computes_in_float32_under_autocast():
    ours = layer(ExpertFFN, ffn(dtype=torch.bfloat16))
    observed, x = [], torch.randn(1, 50, D)
    ours.observer = lambda p, k: observed.append(p)
    with torch.autocast("cpu", torch.bfloat16):
        y = ours(x.bfloat16())
    expected = (x.bfloat16().float() @ ours.mixlora_router["default"].T).softmax(-1)
    torch.testing.assert_close(observed[0], expected, rtol=1e-6, atol=1e-6)
    assert y.dtype == torch.bfloat16
    y.sum().backward()
    assert all(p.grad.dtype == torch.float32 and p.grad.isfinite().all() for p in ours.parameters() if p.requires_grad)


def test_bf16_is_near_float32():
    torch.manual_seed(2)
    net = ffn()
    ours, x = layer(ExpertFFN, net), torch.randn(2, 20, D).bfloat16()
    exact = ours(x.float())
    net.to(torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = ours(x)
    assert (rounded - exact).abs().max() < 0.03 * exact.abs().max()


@pytest.mark.parametrize("sizes", [{"top_k": 0}, {"top_k": 5}, {"r": 0}])
def test_sizes_that_make_no_mixture_are_refused(sizes):
    with pytest.raises(ValueError, match=next(iter(sizes))):
        MixLoraConfig(**{"num_experts": 4, **sizes})


def test_modules_of_the_wrong_kind_are_refused():
    with pytest.raises(ValueError, match="not a gated FFN"):
        ExpertFFN(nn.Linear(3, 3), "default", MixLoraConfig())
    with pytest.raises(ValueError, match="not a linear layer"):
        ExpertLinear(ffn(), "default", MixLoraConfig())
