"""Many classification heads of one shape, trained as ONE problem.

H heads that start from the same weights θ₀ and differ in learning rate, budget, regularisation … are kept as
displacements δ = θ − θ₀, stacked: a layer's weights are one tensor (H, …). Then

- the first layer at θ₀ is shared and computed once a data set, not once a head and step;
- an L2-SP penalty β‖θ − θ₀‖² [1] is Adam's (coupled) weight decay 2β on δ: exact, and free;
- all heads see the same mini-batches, so every product is one batched GEMM; the gradients of the two layers
  are written out, no autograd graph exists, and the gradient of the input is never needed;
- δ keeps the small steps of a fit near its start, which θ = θ₀ + δ would round away in float32.

[1] Li, Grandvalet, Davoine: Explicit inductive bias for transfer learning with convolutional networks, 2018.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

import numpy as np
import torch
from torch import Tensor

from peftuq.artifacts import Head

# (activation, its backward from gradient, input, output); they overwrite the output and the gradient.
_ACTIVATIONS: dict[str, tuple[Callable, Callable]] = {
    "tanh": (
        lambda pre, z: torch.tanh(pre, out=z),
        lambda grad, pre, z: torch.ops.aten.tanh_backward.grad_input(grad, z, grad_input=grad),
    ),
    "gelu": (
        lambda pre, z: torch.ops.aten.gelu.out(pre, out=z),
        lambda grad, pre, z: torch.ops.aten.gelu_backward.grad_input(grad, pre, grad_input=grad),
    ),
}


class HeadStack:
    """H heads θ₀ + δ. `origin` holds θ₀ by name, `delta` and `gradient` the same names with a leading axis H.

    Names as in `artifacts.Head`; only `dense_weight` is kept transposed, (d_in, d_out): both its products are
    a quarter faster that way. `stack[a:b]` is a view that shares memory with the whole.
    """

    def __init__(self, origin: dict[str, Tensor], activation: str, delta: dict[str, Tensor]):
        self.origin, self.activation, self.delta = origin, activation, delta
        self.gradient: dict[str, Tensor] = {}
        self._scratch: dict[str, Tensor] = {}

    @classmethod
    def at(cls, head: Head, size: int, dtype: torch.dtype, device: str | torch.device) -> "HeadStack":
        """`size` copies of `head`: δ = 0."""
        names = ("dense_weight", "dense_bias", "out_weight", "out_bias")
        arrays = {name: getattr(head, name) for name in names if getattr(head, name) is not None}
        origin = {name: torch.tensor(array, dtype=dtype, device=device) for name, array in arrays.items()}
        if "dense_weight" in origin:
            origin["dense_weight"] = origin["dense_weight"].T.contiguous()
        return cls(origin, head.activation, {n: t.new_zeros(size, *t.shape) for n, t in origin.items()})

    def __len__(self) -> int:
        return len(self.delta["out_weight"])

    def __getitem__(self, heads: slice) -> "HeadStack":
        view = HeadStack(self.origin, self.activation, {n: t[heads] for n, t in self.delta.items()})
        view.gradient = {n: t[heads] for n, t in self.gradient.items()}
        view._scratch = self._scratch
        return view

    def double(self) -> "HeadStack":
        """A float64 copy."""
        origin, delta = ({n: t.double() for n, t in tensors.items()} for tensors in (self.origin, self.delta))
        return HeadStack(origin, self.activation, delta)

    def head(self, index: int) -> Head:
        """One head, θ₀ + δ in float64."""
        weights = {n: (self.origin[n].double() + t[index].double()).cpu().numpy() for n, t in self.delta.items()}
        if "dense_weight" in weights:
            weights["dense_weight"] = weights["dense_weight"].T
        return Head(**weights, activation=self.activation)

    def base(self, x: Tensor) -> Tensor:
        """The first layer at θ₀ on x (N, d): (N, d), not activated, or (N, C) without a dense layer."""
        if "dense_weight" in self.origin:
            first, bias = x @ self.origin["dense_weight"], self.origin.get("dense_bias")
        else:
            first, bias = x @ self.origin["out_weight"].T, self.origin.get("out_bias")
        return first if bias is None else first + bias

    def forward(self, x: Tensor, base: Tensor, keep: Tensor | None = None) -> Tensor:
        """Logits (H, C, B) of x (B, d), given `base(x)`; `keep` (B, d) scales the activations (dropout)."""
        if "dense_weight" not in self.origin:
            return self._linear(x, base)
        shared = x.expand(len(self), *x.shape)
        pre, z = (self._buffer(name, len(self), *base.shape) for name in ("pre", "z"))
        if "dense_bias" in self.delta:
            torch.add(base, self.delta["dense_bias"][:, None], out=pre)
        else:
            pre.copy_(base)
        pre.baddbmm_(shared, self.delta["dense_weight"])
        _ACTIVATIONS[self.activation][0](pre, z)
        dropped = z if keep is None else z * keep
        out = self.origin["out_weight"] + self.delta["out_weight"]
        self._saved = shared, pre, z, dropped, out, keep
        if "out_bias" not in self.delta:
            return torch.bmm(out, dropped.mT)
        bias = self.origin["out_bias"] + self.delta["out_bias"]
        return torch.baddbmm(bias[:, :, None], out, dropped.mT)

    def backward(self, slope: Tensor) -> None:
        """Fill `gradient`, given the loss's gradient with respect to the logits of the last `forward`."""
        if "out_bias" in self.gradient:
            torch.sum(slope, 2, out=self.gradient["out_bias"])
        if "dense_weight" not in self.origin:
            flat = self.gradient["out_weight"].flatten(0, 1)
            torch.mm(slope.reshape(len(flat), -1), self._saved, out=flat)
            return
        shared, pre, z, dropped, out, keep = self._saved
        torch.bmm(slope, dropped, out=self.gradient["out_weight"])
        inner = torch.bmm(slope.mT, out, out=self._buffer("inner", *z.shape))
        if keep is not None:
            inner *= keep
        _ACTIVATIONS[self.activation][1](inner, pre, z)
        torch.bmm(shared.mT, inner, out=self.gradient["dense_weight"])
        if "dense_bias" in self.gradient:
            torch.sum(inner, 1, out=self.gradient["dense_bias"])

    def _linear(self, x: Tensor, base: Tensor) -> Tensor:
        self._saved = x
        logits = self._buffer("logits", len(self), *base.T.shape)
        if "out_bias" in self.delta:
            torch.add(base.T, self.delta["out_bias"][:, :, None], out=logits)
        else:
            logits.copy_(base.T)
        # All heads' classes side by side: one GEMM.
        logits.flatten(0, 1).addmm_(self.delta["out_weight"].flatten(0, 1), x.T)
        return logits

    def _buffer(self, name: str, *shape: int) -> Tensor:
        """Scratch memory that outlives the step: fresh pages each time cost more than the arithmetic."""
        size = math.prod(shape)
        if name not in self._scratch or self._scratch[name].numel() < size:
            self._scratch[name] = self.delta["out_weight"].new_empty(size)
        return self._scratch[name][:size].view(shape)


@dataclass(frozen=True)
class Plan:
    """How a head is trained: peak learning rate, epochs, weight decay on δ (2β for L2-SP of strength β)."""

    lr: float
    epochs: int
    decay: float = 0.0


def one_cycle(lr: float, steps: int, momentum: Sequence[float], rise: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    """Learning rate and Adam's β₁ at each of `steps` steps, both (steps,).

    The rate rises along a cosine from lr/25 to lr in the first share `rise` and falls to lr/250000; β₁ falls from
    `momentum[1]` to `momentum[0]` and rises again. Equals `torch.optim.lr_scheduler.OneCycleLR` (cos, other
    arguments default); Smith & Topin, Super-convergence, 2017.
    """
    step, peak, last = np.arange(steps), rise * steps - 1, steps - 1
    rising = step <= peak
    share = np.where(rising, step / (peak or 1.0), (step - peak) / ((last - peak) or 1.0))
    blend = (1 + np.cos(math.pi * share)) / 2
    low, high = momentum

    def cycle(start: float, top: float, end: float) -> np.ndarray:
        return np.where(rising, top + (start - top) * blend, end + (top - end) * blend)

    return cycle(lr / 25, lr, lr / 25 / 1e4), cycle(high, low, high)


class _AdamGroup:
    """Adam, one-cycle, on neighbouring heads of equal plan: a step is one fused pass over their memory."""

    def __init__(self, stack: HeadStack, plan: Plan, steps: int, momentum: Sequence[float], rise: float):
        rate, beta1 = one_cycle(plan.lr, steps, momentum, rise)
        self.schedule, self.decay = list(zip(rate.tolist(), beta1.tolist(), strict=True)), plan.decay
        self.delta, self.gradient = list(stack.delta.values()), list(stack.gradient.values())
        self.first, self.second = ([torch.zeros_like(t) for t in self.delta] for _ in range(2))
        self.count = self.delta[0].new_zeros((), dtype=torch.float32)

    def step(self, index: int) -> None:
        """Step `index`, counted from 0; nothing once the schedule is over."""
        if index >= len(self.schedule):
            return
        self.count.fill_(index + 1)
        torch._fused_adam_(
            self.delta,
            self.gradient,
            self.first,
            self.second,
            [],
            [self.count] * len(self.delta),
            lr=self.schedule[index][0],
            beta1=self.schedule[index][1],
            beta2=0.999,
            weight_decay=self.decay,
            eps=1e-8,
            amsgrad=False,
            maximize=False,
        )


def _order(n: int, weights: Tensor | None, generator: torch.Generator) -> Tensor:
    """The rows of an epoch."""
    if weights is None:
        return torch.randperm(n, generator=generator)
    return torch.multinomial(weights.cpu(), n, replacement=True, generator=generator)


def train(
    stack: HeadStack,
    x: Tensor,
    plans: Sequence[Plan],
    slope: Callable[[Tensor, Tensor], Tensor],
    batch_size: int,
    seed: int,
    momentum: Sequence[float],
    dropout: float,
    rise: float = 0.3,
    weights: Tensor | None = None,
) -> None:
    """Train each head of `stack` in place on x (N, d) by its plan; plans run from most to fewest epochs.

    `slope(logits, rows)` is the gradient of the mean loss over the examples `rows` (B,) with respect to the
    first n heads' logits (n, C, B); n falls as the shorter plans end. `dropout` acts before the dense and the
    out layer, not on a linear head. Order and dropout masks follow from `seed` and are the same for every
    head: a fit does not depend on its neighbours. With `weights` (N,) an epoch is N draws with replacement in
    proportion to them, else every example once. `rise`: as in `one_cycle`. Raises `ValueError` for plans in another
    order.
    """
    if any(a.epochs < b.epochs for a, b in pairwise(plans)):
        raise ValueError("plans must run from most to fewest epochs")
    stack.gradient = {name: torch.empty_like(tensor) for name, tensor in stack.delta.items()}
    groups, start = [], 0
    for plan, equal in groupby(plans):
        stop = start + len(list(equal))
        steps = plan.epochs * math.ceil(len(x) / batch_size)
        groups.append(_AdamGroup(stack[start:stop], plan, steps, momentum, rise))
        start = stop
    generator = torch.Generator().manual_seed(seed)
    base, step = stack.base(x), 0
    for epoch in range(plans[0].epochs):
        active = stack[: sum(plan.epochs > epoch for plan in plans)]
        for rows in _order(len(x), weights, generator).to(x.device).split(batch_size):
            batch, first, keep = x.index_select(0, rows), base.index_select(0, rows), None
            if dropout and "dense_weight" in stack.origin:
                drawn = torch.rand(2, *batch.shape, generator=generator) >= dropout
                before, keep = drawn.to(x) / (1 - dropout)
                batch = batch * before
                first = stack.base(batch)
            active.backward(slope(active.forward(batch, first, keep), rows))
            for group in groups:
                group.step(step)
            step += 1
    stack.gradient = {}
