"""act(gate)·up of a gated FFN, keeping its two factors and not the activation."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from peftuq.models.recompute.backward import as_written


def gate_gradients(
    act: Callable[[Tensor], Tensor], gate: Tensor, up: Tensor, d_u: Tensor
) -> tuple[Float[Tensor, "*N m"], Float[Tensor, "*N m"]]:
    """Gradients of u = act(gate)·up by gate and up."""
    with torch.enable_grad():
        z = gate.detach().requires_grad_()
        activated = act(z)
    d_up = activated.detach() * d_u
    (d_gate,) = torch.autograd.grad(activated, z, up * d_u)
    return d_gate, d_up


class _Gated(torch.autograd.Function):
    @staticmethod
    def forward(ctx, gate: Tensor, up: Tensor, act: Callable[[Tensor], Tensor]) -> Tensor:
        ctx.save_for_backward(gate, up)
        ctx.act = act
        return act(gate).mul_(up)

    @staticmethod
    @as_written
    def backward(ctx, d_u: Tensor):
        return *gate_gradients(ctx.act, *ctx.saved_tensors, d_u), None


def gated(
    gate: Float[Tensor, "*N m"], up: Float[Tensor, "*N m"], act: Callable[[Tensor], Tensor]
) -> Float[Tensor, "*N m"]:
    """act(gate)·up, to the bit as written out; `act` acts on each number alone."""
    return _Gated.apply(gate, up, act)
