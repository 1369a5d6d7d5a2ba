"""Batched training of heads against one `nn.Module` after another, with torch's own Adam and OneCycleLR."""

import itertools

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from peftuq.artifacts import Head
from peftuq.scores.adue.head_stack import HeadStack, Plan, one_cycle, train

torch.set_num_threads(1)
D, C, N, BATCH, SEED = 12, 3, 45, 16, 5
PLANS = [
    Plan(1e-2, 4, 0.0),
    Plan(1e-2, 4, 0.2),
    Plan(1e-2, 4, 0.2),
    Plan(1e-3, 4, 0.2),
    Plan(1e-2, 2, 2.0),
    Plan(1e-1, 1, 0.02),
]
SHAPES = {
    "tanh": ("dense_bias", "out_bias", "tanh"),
    "gelu": ("dense_bias", "out_bias", "gelu"),
    "tanh, no biases": ("tanh",),
    "linear": ("out_bias",),
    "linear, no bias": (),
}


def make_head(shape: str) -> Head:
    rng, parts = np.random.default_rng(1), SHAPES[shape]
    arrays = {"out_weight": rng.normal(0, 0.5, (C, D))}
    if "tanh" in parts or "gelu" in parts:
        arrays["dense_weight"] = rng.normal(0, 0.3, (D, D))
    arrays |= {name: rng.normal(0, 0.2, D if name == "dense_bias" else C) for name in parts if name.endswith("bias")}
    activation = parts[-1] if parts and parts[-1] in ("tanh", "gelu") else ""
    return Head(**{k: v.astype(np.float32) for k, v in arrays.items()}, activation=activation)


def make_data(dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(2)
    weight = torch.tensor(rng.uniform(0.2, 2, len(PLANS)), dtype=dtype)
    return torch.tensor(rng.normal(0, 1, (N, D)), dtype=dtype), torch.tensor(rng.integers(C, size=N)), weight


class Single(nn.Module):
    def __init__(self, head: Head, dtype: torch.dtype):
        super().__init__()
        for name in ("dense_weight", "dense_bias", "out_weight", "out_bias"):
            array = getattr(head, name)
            setattr(self, name, None if array is None else nn.Parameter(torch.tensor(array, dtype=dtype)))
        self.act = {"tanh": torch.tanh, "gelu": F.gelu, "": None}[head.activation]

    def forward(self, h, masks=(1.0, 1.0)):
        if self.act:
            h = self.act(F.linear(h * masks[0], self.dense_weight, self.dense_bias)) * masks[1]
        return F.linear(h, self.out_weight, self.out_bias)


def plain_loop(head: Head, dtype: torch.dtype, dropout: float = 0.0) -> list[Single]:
    x, y, weight = make_data(dtype)
    trained = []
    for index, plan in enumerate(PLANS):
        net = Single(head, dtype)
        initial = [p.detach().clone() for p in net.parameters()]
        optimizer = torch.optim.Adam(net.parameters(), lr=plan.lr)
        steps = plan.epochs * -(-N // BATCH)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, plan.lr, total_steps=steps)
        generator = torch.Generator().manual_seed(SEED)
        for _ in range(plan.epochs):
            for rows in torch.randperm(N, generator=generator).split(BATCH):
                masks = (1.0, 1.0)
                if dropout and net.act:
                    drawn = torch.rand(2, len(rows), D, generator=generator)
                    masks = (drawn >= dropout).to(dtype) / (1 - dropout)
                loss = weight[index] * F.cross_entropy(net(x[rows], masks), y[rows])
                drift = sum(((p - q) ** 2).sum() for p, q in zip(net.parameters(), initial, strict=True))
                optimizer.zero_grad()
                (loss + plan.decay / 2 * drift).backward()
                optimizer.step()
                schedule.step()
        trained.append(net)
    return trained


def batched(head: Head, dtype: torch.dtype, heads: slice = slice(None), **settings) -> HeadStack:
    x, y, weight = make_data(dtype)
    plans, weight = PLANS[heads], weight[heads]
    stack = HeadStack.at(head, len(plans), dtype, "cpu")

    def slope(logits, rows):
        one_hot = F.one_hot(y[rows], C).T
        return weight[: len(logits), None, None] * (torch.softmax(logits, 1) - one_hot) / len(rows)

    train(stack, x, plans, slope, BATCH, **{"seed": SEED, "momentum": (0.85, 0.95), "dropout": 0.0, **settings})
    return stack


def largest_difference(stack: HeadStack, nets: list[Single]) -> float:
    pairs = ((stack.head(i), net) for i, net in enumerate(nets))
    return max(
        np.abs(getattr(head, name) - parameter.detach().numpy()).max()
        for head, net in pairs
        for name, parameter in net.named_parameters()
    )


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-4)])
def test_equals_the_plain_loop(shape, dtype, tolerance):
    head = make_head(shape)
    assert largest_difference(batched(head, dtype), plain_loop(head, dtype)) < tolerance


def test_dropout_equals_the_plain_loop_and_spares_linear_heads():
    head = make_head("gelu")
    stack = batched(head, torch.float64, dropout=0.3)
    assert largest_difference(stack, plain_loop(head, torch.float64, dropout=0.3)) < 1e-10
    assert largest_difference(stack, plain_loop(head, torch.float64)) > 1e-3
    linear = make_head("linear")
    assert largest_difference(batched(linear, torch.float64, dropout=0.3), plain_loop(linear, torch.float64)) < 1e-10


@pytest.mark.parametrize("shape", ["tanh", "linear"])
def test_a_fit_does_not_depend_on_its_neighbours(shape):
    together = batched(make_head(shape), torch.float64)
    for start, size in itertools.product(range(len(PLANS)), (1, 2)):
        alone = batched(make_head(shape), torch.float64, slice(start, start + size))
        for name, delta in alone.delta.items():
            torch.testing.assert_close(delta, together.delta[name][start : start + size], rtol=0, atol=1e-14)


def test_same_seed_same_bytes_other_seed_other_order():
    one, two, other = (batched(make_head("tanh"), torch.float32, seed=seed) for seed in (1, 1, 2))
    assert all(torch.equal(one.delta[n], two.delta[n]) for n in one.delta)
    assert not torch.equal(one.delta["out_weight"], other.delta["out_weight"])


@pytest.mark.parametrize("shape", SHAPES)
def test_backward_equals_autograd(shape):
    stack = HeadStack.at(make_head(shape), 4, torch.float64, "cpu")
    generator = torch.Generator().manual_seed(0)
    for delta in stack.delta.values():
        delta.copy_(torch.randn(delta.shape, generator=generator, dtype=torch.float64) / 5)
    stack.gradient = {name: torch.empty_like(delta) for name, delta in stack.delta.items()}
    x, slope = (torch.randn(*s, generator=generator, dtype=torch.float64) for s in ((7, D), (4, C, 7)))
    logits = stack.forward(x, stack.base(x)).clone()
    stack.backward(slope)
    for index in range(4):
        net = Single(stack.head(index), torch.float64)
        expected = net(x).T
        torch.testing.assert_close(logits[index], expected.detach(), rtol=0, atol=1e-12)
        expected.backward(slope[index])
        for name, parameter in net.named_parameters():
            gradient = stack.gradient[name][index]
            gradient = gradient.T if name == "dense_weight" else gradient
            torch.testing.assert_close(gradient, parameter.grad, rtol=0, atol=1e-12)


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 5, 7, 11, 33, 100, 841])  # torch divides by 0 for 10 and a rise of 0.1
@pytest.mark.parametrize(("momentum", "rise"), [((0.85, 0.95), 0.3), ((0.9, 0.9), 0.3), ((0.85, 0.95), 0.1)])
def test_one_cycle_equals_torch_step_by_step(steps, momentum, rise):
    optimizer = torch.optim.Adam([nn.Parameter(torch.zeros(1))], lr=1.0)
    low, high = momentum
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        3e-4,
        total_steps=steps,
        pct_start=rise,
        anneal_strategy="cos",
        base_momentum=low,
        max_momentum=high,
    )
    expected = []
    for step in range(steps):
        group = optimizer.param_groups[0]
        expected.append((group["lr"], group["betas"][0]))
        optimizer.step()
        if step + 1 < steps:
            schedule.step()
    rate, beta1 = one_cycle(3e-4, steps, momentum, rise)
    np.testing.assert_allclose(rate, [e[0] for e in expected], rtol=1e-12)
    np.testing.assert_allclose(beta1, [e[1] for e in expected], rtol=1e-12)


def test_heads_come_out_as_they_went_in():
    for shape in SHAPES:
        head = make_head(shape)
        back = HeadStack.at(head, 2, torch.float32, "cpu").head(1)
        assert back.activation == head.activation
        for name in ("dense_weight", "dense_bias", "out_weight", "out_bias"):
            np.testing.assert_array_equal(getattr(back, name), getattr(head, name))


def test_plans_in_another_order_are_refused():
    stack = HeadStack.at(make_head("linear"), 2, torch.float32, "cpu")
    with pytest.raises(ValueError, match="from most to fewest"):
        train(stack, torch.zeros(3, D), [Plan(1e-3, 1), Plan(1e-3, 2)], lambda z, rows: z, 2, 0, (0.9, 0.9), 0.0)
