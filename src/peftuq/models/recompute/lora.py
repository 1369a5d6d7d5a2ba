"""LoRA's linear layer, y = W x + b + s·B A drop(x), with nothing kept that the model does not keep anyway.

PEFT's layer keeps its input in float32, a mask and a dropped copy, for every adapted layer; layers that read the same
input (q, k, v; gate, up) each keep their own. Here they share the input itself, as it came: the mask comes from its
seed again, and the dropped copy from the mask. A gated FFN's last layer does not even keep its input, act(gate)·up, but
makes it again from gate and up, which the gradient of the product needs anyway.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from peft.tuners.lora import Linear as LoraLinear
from torch import Tensor, nn

from peftuq.models.recompute.backward import as_written
from peftuq.models.recompute.dropout import draw_seed, dropped
from peftuq.models.recompute.gated import gate_gradients
from peftuq.models.recompute.projection import rate


class Layer(NamedTuple):
    """A layer's tensors: frozen `weight` W and `bias` b, trained `A` and `B`."""

    weight: Float[Tensor, "o i"]
    bias: Float[Tensor, " o"] | None
    A: Float[Tensor, "r i"]
    B: Float[Tensor, "o r"]


class Correction(NamedTuple):
    """How a call computes: `scale` s / (1 - p), dropout's rate p and the seed of its mask, and the type of products."""

    scale: float
    p: float
    seed: int
    dtype: torch.dtype

    def mask(self, x: Tensor) -> Bool[Tensor, "*shape"] | None:
        return dropped(x, self.p, self.seed) if self.p else None


def _without(x: Tensor, mask: Tensor | None) -> Tensor:
    return x if mask is None else x.masked_fill(mask, 0)


def _rows(x: Float[Tensor, "*N d"], dtype: torch.dtype) -> Float[Tensor, "T d"]:
    return x.reshape(-1, x.shape[-1]).to(dtype)


def _product(
    x: Float[Tensor, "T i"], layer: Layer, how: Correction
) -> tuple[Float[Tensor, "T o"], Float[Tensor, "T r"]]:
    """(y, A drop(x)); the latter is kept."""
    weight, bias, A, B = (None if tensor is None else tensor.to(how.dtype) for tensor in layer)
    low = F.linear(_without(x, how.mask(x)), A)
    return F.linear(x, weight, bias).addmm_(low, B.T, alpha=how.scale), low


def _gradients(
    d_y: Float[Tensor, "T o"], x: Float[Tensor, "T i"], low: Float[Tensor, "T r"], layer: Layer, how: Correction,
    of_input: bool = True,
) -> tuple[Float[Tensor, "T i"] | None, Tensor, Tensor]:  # fmt: skip
    """Gradients by x (None unless needed), A and B; those of A and B in the factors' own type."""
    mask, A, B = how.mask(x), layer.A.to(how.dtype), layer.B.to(how.dtype)
    d_low = (d_y @ B).mul_(how.scale)
    d_B = (d_y.T @ low).to(layer.B.dtype).mul_(how.scale)
    d_A = (d_low.T @ _without(x, mask)).to(layer.A.dtype)
    if not of_input:
        return None, d_A, d_B
    d_x = d_y @ layer.weight.to(how.dtype)
    if mask is None:
        return d_x.addmm_(d_low, A), d_A, d_B
    return d_x.add_((d_low @ A).masked_fill_(mask, 0)), d_A, d_B


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor | None, A: Tensor, B: Tensor, how: Correction) -> Tensor:
        y, low = _product(_rows(x, how.dtype), Layer(weight, bias, A, B), how)
        ctx.save_for_backward(x, low, weight, A, B)
        ctx.how = how
        return y.view(*x.shape[:-1], -1)

    @staticmethod
    @as_written
    def backward(ctx, d_y: Tensor):
        x, low, weight, A, B = ctx.saved_tensors
        how, layer = ctx.how, Layer(weight, None, A, B)
        rows = _rows(x, how.dtype)
        d_x, d_A, d_B = _gradients(_rows(d_y, how.dtype), rows, low, layer, how, ctx.needs_input_grad[0])
        return None if d_x is None else d_x.view_as(x).to(x.dtype), None, None, d_A, d_B, None


class _GatedLinear(torch.autograd.Function):
    """The layer applied to act(gate)·up."""

    @staticmethod
    def forward(
        ctx, gate: Tensor, up: Tensor, act: Callable[[Tensor], Tensor],
        weight: Tensor, bias: Tensor | None, A: Tensor, B: Tensor, how: Correction,
    ) -> Tensor:  # fmt: skip
        y, low = _product(_rows(act(gate).mul_(up), how.dtype), Layer(weight, bias, A, B), how)
        ctx.save_for_backward(gate, up, low, weight, A, B)
        ctx.act, ctx.how = act, how
        return y.view(*gate.shape[:-1], -1)

    @staticmethod
    @as_written
    def backward(ctx, d_y: Tensor):
        gate, up, low, weight, A, B = ctx.saved_tensors
        how, layer = ctx.how, Layer(weight, None, A, B)
        u = _rows(ctx.act(gate).mul_(up), how.dtype)
        d_u, d_A, d_B = _gradients(_rows(d_y, how.dtype), u, low, layer, how)
        d_gate, d_up = gate_gradients(ctx.act, gate, up, d_u.view_as(gate).to(gate.dtype))
        return d_gate, d_up, None, None, None, d_A, d_B, None


def arguments(module: LoraLinear, device: str) -> tuple[Any, ...] | None:
    """The layer's tensors and the setting of one call; None for a call that is PEFT's own affair.

    That is: evaluation (where other parts of this package hook the factors and the dropout), several adapters or none,
    merged weights, variants such as DoRA, biases beside B, base layers that are trained, and an A or a base layer that
    is not plainly linear.
    """
    names = [name for name in module.active_adapters if name in module.lora_A]
    base = module.base_layer
    if (
        not module.training
        or module.disable_adapters
        or module.merged
        or len(names) != 1
        or type(base) is not nn.Linear
    ):
        return None
    A, B, dropout = (of[names[0]] for of in (module.lora_A, module.lora_B, module.lora_dropout))
    frozen = not any(parameter.requires_grad for parameter in base.parameters())
    if names[0] in module.lora_variant or not frozen or B.bias is not None or type(A) is not nn.Linear:
        return None
    p = rate(dropout)
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else base.weight.dtype
    how = Correction(module.scaling[names[0]] / (1 - p), p, draw_seed() if p else 0, dtype)
    return base.weight, base.bias, A.weight, B.weight, how


def linear(module: LoraLinear, x: Float[Tensor, "*N i"], *args: Any, **kwargs: Any) -> Float[Tensor, "*N o"]:
    """The result of PEFT's `Linear.forward`, to rounding; the outcome of dropout is another draw."""
    call = None if args or kwargs else arguments(module, x.device.type)
    return LoraLinear.forward(module, x, *args, **kwargs) if call is None else _Linear.apply(x, *call)


def gated_linear(
    module: LoraLinear, gate: Float[Tensor, "*N i"], up: Float[Tensor, "*N i"], act: Callable[[Tensor], Tensor]
) -> Float[Tensor, "*N o"] | None:
    """`linear(module, act(gate)·up)`; None for a call that is PEFT's own affair."""
    call = arguments(module, gate.device.type)
    return None if call is None else _GatedLinear.apply(gate, up, act, *call)
