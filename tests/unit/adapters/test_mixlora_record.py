"""Router probabilities: FLU and load balance against direct computations, and when they are collected."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from recipes import adapter
from tiny import DECODERS, build
from torch import nn

from peftuq.adapters.mixlora.attach import attach
from peftuq.adapters.mixlora.routing_statistics import Routing, record
from peftuq.adapters.peft_lora import attach as attach_lora
from peftuq.models.readout import ReadOut

E, K = 5, 2
MODULES = {role: f"{role}_proj" for role in ("q", "k", "v", "o", "gate", "up", "down")}
LENGTHS = torch.tensor([7, 3, 5])


def routing_of(probabilities: dict[str, torch.Tensor], top_k: int = K) -> Routing:
    made = Routing()
    for name, p in probabilities.items():
        made.observe(name, p, top_k)
    return made


def random_routing(seed: int = 0, routers=("a.0.q", "a.0.mlp", "a.1.q", "a.1.mlp")) -> Routing:
    generator = torch.Generator().manual_seed(seed)
    return routing_of({name: torch.randn(3, 7, E, generator=generator).mul(2).softmax(-1) for name in routers})


def read_out(seed: int = 0, places=("ffn",)) -> ReadOut:
    """A tiny decoder whose routers prefer, each its own way."""
    hf = build(DECODERS["llama"], "choice", seed=seed)
    mixture = {"experts": E, "top_k": K, "experts_at": list(places)}
    peft = attach(hf, MODULES, adapter(targets=list(MODULES), mixture=mixture), "choice")
    for name, parameter in peft.named_parameters():
        if parameter.requires_grad:
            nn.init.normal_(parameter, std=0.5 if "router" in name else 0.2)
    return ReadOut(peft, hf, [11, 7, 9, 30])


def tokens(pad: int = 0) -> torch.Tensor:
    ids = torch.randint(5, 60, (3, 7), generator=torch.Generator().manual_seed(1))
    return ids.masked_fill(torch.arange(7) >= LENGTHS[:, None], pad)


# -- FLU ----------------------------------------------------------------------------------------------


def test_flu_equals_its_definition():
    routing = random_routing()
    flu = routing.flu(LENGTHS)
    assert flu.shape == (3, 2, 2)
    for n, length in enumerate(LENGTHS):
        for block in range(2):
            mass = [
                np.sort(routing.probabilities[f"a.{block}.{router}"][n, :length].numpy())[:, -K:].sum(1)
                for router in ("q", "mlp")
            ]
            np.testing.assert_allclose(flu[n, block, 0], np.mean(mass), rtol=1e-5)
            np.testing.assert_allclose(flu[n, block, 1], np.mean([m[-1] for m in mass]), rtol=1e-5)


def test_blocks_are_in_order_of_depth():
    names = [f"layers.{depth}.mlp" for depth in (10, 9, 0)]
    routing = random_routing(routers=names)
    blocks = [block[0] for block in routing.blocks()]
    assert all(a is routing.probabilities[name] for a, name in zip(blocks, reversed(names), strict=True))


@given(st.integers(2, 6), st.data())
def test_flu_lies_between_uniform_and_certain(experts, data):
    top_k = data.draw(st.integers(1, experts))
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 99)))
    p = (torch.randn(3, 7, experts, generator=generator) * data.draw(st.floats(0, 50))).softmax(-1)
    flu = routing_of({"a.0.mlp": p}, top_k).flu(LENGTHS)
    assert (flu >= top_k / experts - 1e-6).all() and (flu <= 1 + 1e-6).all()


def test_flu_of_a_model_is_the_mass_before_renormalisation():
    """The weights that mix the experts sum to 1: FLU made from them would be 1 for every prompt."""
    model = read_out().eval()
    with record(model) as routing:
        model(tokens(), LENGTHS)
    flu = routing.flu(LENGTHS)
    assert flu.shape == (3, 2, 2) and flu.dtype == torch.float32
    assert (flu < 0.99).all() and (flu > K / E).all() and flu.std(dim=0).min() > 1e-3


def test_uniform_and_certain_routers_are_the_ends_of_the_range():
    model = read_out().eval()
    routers = [p.data for name, p in model.named_parameters() if "router" in name]
    for router in routers:
        router.zero_()
    with record(model) as routing:
        model(tokens(), LENGTHS)
    torch.testing.assert_close(routing.flu(LENGTHS), torch.full((3, 2, 2), K / E))
    for router in routers:
        nn.init.normal_(router, std=1e4)
    with record(model) as routing:
        model(tokens(), LENGTHS)
    torch.testing.assert_close(routing.flu(LENGTHS), torch.ones(3, 2, 2))


def test_padding_changes_nothing():
    model = read_out().eval()
    with record(model) as padded:
        model(tokens(pad=0), LENGTHS)
    flu, balance = padded.flu(LENGTHS), padded.balance(LENGTHS)
    with record(model) as other:
        model(tokens(pad=33), LENGTHS)
    torch.testing.assert_close(other.flu(LENGTHS), flu)
    torch.testing.assert_close(other.balance(LENGTHS), balance)
    for row, length in enumerate(LENGTHS):
        with record(model) as alone:
            model(tokens()[row : row + 1, :length], length[None])
        torch.testing.assert_close(alone.flu(length[None]), flu[row : row + 1])


def test_flu_is_differentiable_in_the_routers():
    model = read_out()
    with record(model) as routing:
        model(tokens(), LENGTHS)
    routing.flu(LENGTHS).sum().backward()
    routers = [p for name, p in model.named_parameters() if "router" in name]
    assert len(routers) == 2 and all(p.grad.abs().max() > 0 for p in routers)


def test_attention_experts_are_averaged_within_their_block():
    model = read_out(places=["attention", "ffn"]).eval()
    with record(model) as routing:
        model(tokens(), LENGTHS)
    assert [len(block) for block in routing.blocks()] == [5, 5] and routing.flu(LENGTHS).shape == (3, 2, 2)


# -- load balance -----------------------------------------------------------------------------------------


def loss_of(p: np.ndarray, chosen: np.ndarray) -> float:
    """a E Σ F_i P_i, an expert at a time; `chosen` (tokens, k)."""
    return 0.01 * p.shape[1] * sum((chosen == i).any(1).mean() * p[:, i].mean() for i in range(p.shape[1]))


@pytest.mark.parametrize("count", ["argmax", "topk"])
def test_balance_equals_its_definition(count):
    routing = random_routing()
    real = [{n: p[torch.arange(7) < LENGTHS[:, None]].double().numpy() for n, p in routing.probabilities.items()}][0]
    k = K if count == "topk" else 1
    losses = {name: loss_of(p, np.argsort(-p, axis=1)[:, :k]) for name, p in real.items()}
    first, second = (np.mean([losses[f"a.{b}.q"], losses[f"a.{b}.mlp"]]) for b in (0, 1))
    np.testing.assert_allclose(routing.balance(LENGTHS, count=count), (first + second) / 2, rtol=1e-5)
    np.testing.assert_allclose(routing.balance(LENGTHS, count=count, over="sum"), first + second, rtol=1e-5)
    together = np.concatenate(list(real.values()))
    pooled = loss_of(together, np.argsort(-together, axis=1)[:, :k])
    np.testing.assert_allclose(routing.balance(LENGTHS, count=count, over="pooled"), pooled, rtol=1e-5)


@given(st.lists(st.integers(0, E - 1), min_size=1, max_size=40))
def test_balance_is_least_when_experts_are_used_alike(experts):
    """Certain routers, one expert a token: then F = P, and a E Σ F² ≥ a with equality for equal use."""
    p = torch.eye(E)[torch.tensor(experts)][None]
    loss = float(routing_of({"a.0.mlp": p}, 1).balance(torch.tensor([len(experts)])))
    even = len({experts.count(e) for e in range(E)}) == 1
    assert loss >= 0.01 - 1e-7 and (abs(loss - 0.01) < 1e-7) == even


def test_balance_pushes_towards_the_unused_experts():
    logits = torch.tensor([2.0, 0.0, 0.0, 0.0, 0.0]).repeat(1, 6, 1).requires_grad_()
    routing_of({"a.0.mlp": logits.softmax(-1)}).balance(torch.tensor([6])).backward()
    assert (logits.grad[..., 0] > 0).all() and (logits.grad[..., 1:] < 0).all()


def test_coefficient_scales():
    routing = random_routing()
    torch.testing.assert_close(routing.balance(LENGTHS, coefficient=1.0), 100 * routing.balance(LENGTHS))


# -- when it is collected ---------------------------------------------------------------------------------


def test_nothing_is_collected_outside_or_without_routers():
    model = read_out().eval()
    with record(model) as routing:
        pass
    model(tokens(), LENGTHS)
    assert routing.flu(LENGTHS) is None
    hf = build(DECODERS["llama"], "choice")
    plain = ReadOut(attach_lora(hf, MODULES, adapter(), "choice"), hf, [11, 7])
    with record(plain) as routing:
        plain(tokens(), LENGTHS)
    assert routing.flu(LENGTHS) is None


def test_collection_ends_when_the_forward_pass_fails():
    model = read_out()
    with pytest.raises(IndexError), record(model):
        model(torch.full((1, 3), 10**6), torch.tensor([3]))
    assert all(getattr(module, "observer", None) is None for module in model.modules())


def gradients(checkpointing: bool) -> tuple[dict, int, int]:
    """Gradients of a loss made of everything; how many routers were recorded, and how often the first FFN ran."""
    model, runs = read_out(places=["attention", "ffn"]).train(), []
    if checkpointing:
        model.hf.gradient_checkpointing_enable({"use_reentrant": False})
    model.hf.model.layers[0].mlp.base_layer.gate_proj.register_forward_hook(lambda *_: runs.append(1))
    torch.manual_seed(3)
    with record(model) as routing:
        logits = model(tokens(), LENGTHS).logits
    calibration = (1 - routing.flu(LENGTHS)[..., 0].mean(dim=1)).square().mean()
    (nn.functional.cross_entropy(logits, torch.tensor([1, 0, 2])) + routing.balance(LENGTHS) + calibration).backward()
    gradients = {name: p.grad for name, p in model.named_parameters() if p.requires_grad}
    return gradients, len(routing.probabilities), len(runs)


def test_gradient_checkpointing_changes_nothing():
    (plain, *once), (checkpointed, *twice) = gradients(False), gradients(True)
    assert once == [10, 1] and twice == [10, 2]
    for name, gradient in plain.items():
        torch.testing.assert_close(checkpointed[name], gradient, rtol=1e-5, atol=1e-7)
        assert "mixlora" not in name or gradient.abs().max() > 0, name
