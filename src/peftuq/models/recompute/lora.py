"""LoRA's linear layer, y = W x + b + s·B A drop(x), with nothing kept that the model does not keep anyway.

PEFT's layer keeps its input in float32, a mask and a dropped copy, for every adapted layer; layers that read the same
input (q, k, v; gate, up) each keep their own. Here they share the input itself, as it came: the mask comes from its
seed again, and the dropped copy from the mask. A gated FFN's last layer does not even keep its input, act(gate)·up, but
makes it again from gate and up, which the gradient of the product needs anyway.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from peft.tuners.lora import Linear as LoraLinear
from torch import Tensor, nn

from peftuq.models.recompute.backward import as_written
from peftuq.models.recompute.dropout import draw_seed, kept
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

    def mask(self, x: Float[Tensor, "T i"]) -> Float[Tensor, "T i"] | None:
        """1 where an element is kept, else 0."""
        return kept(x, self.p, self.seed) if self.p else None

    def factor(self, layers: Sequence[Layer]) -> Float[Tensor, "R i"]:
        """The layers' A one above the other, times the scale."""
        stacked = layers[0].A if len(layers) == 1 else torch.cat([layer.A for layer in layers])
        return (stacked * self.scale).to(self.dtype)


def _rows(x: Float[Tensor, "*N d"], dtype: torch.dtype) -> Float[Tensor, "T d"]:
    return x.reshape(-1, x.shape[-1]).to(dtype)


def _products(
    x: Float[Tensor, "T i"], layers: Sequence[Layer], how: Correction
) -> tuple[list[Float[Tensor, "T o"]], Float[Tensor, "T R"]]:
    """(y of each layer, s A drop(x) of all layers side by side); the latter is kept."""
    mask = how.mask(x)
    low = F.linear(x if mask is None else mask.mul_(x), how.factor(layers))
    found = []
    for (weight, bias, _, B), part in zip(layers, low.split([len(layer.A) for layer in layers], dim=1), strict=True):
        y = F.linear(x, weight.to(how.dtype), None if bias is None else bias.to(how.dtype))
        found.append(y.addmm_(part, B.to(how.dtype).T))
    return found, low


def _gradients(
    d_ys: Sequence[Float[Tensor, "T o"]], x: Float[Tensor, "T i"], low: Float[Tensor, "T R"],
    layers: Sequence[Layer], how: Correction, of_input: bool = True,
) -> tuple[Float[Tensor, "T i"] | None, list[Tensor], list[Tensor]]:  # fmt: skip
    """Gradients by x (None unless needed) and each A and B; those of A and B in the factors' own type."""
    ranks = [len(layer.A) for layer in layers]
    lows = [d_y @ layer.B.to(how.dtype) for d_y, layer in zip(d_ys, layers, strict=True)]
    d_low = lows[0] if len(lows) == 1 else torch.cat(lows, dim=1)
    d_Bs = [
        (d_y.T @ part).to(layer.B.dtype) for d_y, part, layer in zip(d_ys, low.split(ranks, dim=1), layers, strict=True)
    ]
    mask = how.mask(x)
    d_A = (d_low.T @ (x if mask is None else x * mask)).to(layers[0].A.dtype).mul_(how.scale)
    d_As = list(d_A.split(ranks))
    if not of_input:
        return None, d_As, d_Bs
    d_x = d_ys[0] @ layers[0].weight.to(how.dtype)
    for d_y, layer in zip(d_ys[1:], layers[1:], strict=True):
        d_x.addmm_(d_y, layer.weight.to(how.dtype))
    if mask is None:
        return d_x.addmm_(d_low, how.factor(layers)), d_As, d_Bs
    return d_x.addcmul_(d_low @ how.factor(layers), mask), d_As, d_Bs


def _flat(layers: Sequence[Layer]) -> list[Tensor | None]:
    return [tensor for layer in layers for tensor in layer]


def _layers(tensors: Sequence[Any]) -> list[Layer]:
    return [Layer(*tensors[start : start + 4]) for start in range(0, len(tensors), 4)]


def _of_tensors(d_As: Sequence[Tensor], d_Bs: Sequence[Tensor]) -> Iterator[Tensor | None]:
    """Gradients in the order of `_flat`; what is frozen has none."""
    return (d for pair in zip(d_As, d_Bs, strict=True) for d in (None, None, *pair))


class _Linears(torch.autograd.Function):
    """Layers that read the same input."""

    @staticmethod
    def forward(ctx, x: Tensor, how: Correction, *tensors: Tensor | None) -> tuple[Tensor, ...]:
        layers = _layers(tensors)
        found, low = _products(_rows(x, how.dtype), layers, how)
        ctx.save_for_backward(x, low, *_flat([layer._replace(bias=None) for layer in layers]))
        ctx.how = how
        return tuple(y.view(*x.shape[:-1], -1) for y in found)

    @staticmethod
    @as_written
    def backward(ctx, *d_ys: Tensor):
        x, low, *tensors = ctx.saved_tensors
        how, layers = ctx.how, _layers(tensors)
        flat = [_rows(d_y, how.dtype) for d_y in d_ys]
        d_x, d_As, d_Bs = _gradients(flat, _rows(x, how.dtype), low, layers, how, ctx.needs_input_grad[0])
        return None if d_x is None else d_x.view_as(x).to(x.dtype), None, *_of_tensors(d_As, d_Bs)


class _GatedLinear(torch.autograd.Function):
    """The layer applied to act(gate)·up."""

    @staticmethod
    def forward(
        ctx, gate: Tensor, up: Tensor, act: Callable[[Tensor], Tensor], how: Correction, *tensors: Tensor | None
    ) -> Tensor:
        layer = Layer(*tensors)
        (y,), low = _products(_rows(act(gate).mul_(up), how.dtype), [layer], how)
        ctx.save_for_backward(gate, up, low, *layer._replace(bias=None))
        ctx.act, ctx.how = act, how
        return y.view(*gate.shape[:-1], -1)

    @staticmethod
    @as_written
    def backward(ctx, d_y: Tensor):
        gate, up, low, *tensors = ctx.saved_tensors
        how = ctx.how
        u = _rows(ctx.act(gate).mul_(up), how.dtype)
        d_u, d_As, d_Bs = _gradients([_rows(d_y, how.dtype)], u, low, _layers(tensors), how)
        d_gate, d_up = gate_gradients(ctx.act, gate, up, d_u.view_as(gate).to(gate.dtype))
        return d_gate, d_up, None, None, *_of_tensors(d_As, d_Bs)


class Setting(NamedTuple):
    """How a layer computes in the mode that it is in; layers of one input that agree share a product and a mask."""

    scale: float
    p: float
    dtype: torch.dtype

    def call(self) -> Correction:
        return Correction(self.scale / (1 - self.p), self.p, draw_seed() if self.p else 0, self.dtype)


def arguments(module: LoraLinear, device: str) -> tuple[Layer, Setting] | None:
    """The layer's tensors and setting; None for a call that is PEFT's own affair.

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
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else base.weight.dtype
    layer = Layer(base.weight, base.bias, A.weight, B.weight)
    return layer, Setting(module.scaling[names[0]], rate(dropout), dtype)


def linears(layers: Sequence[Layer], setting: Setting, x: Float[Tensor, "*N i"]) -> tuple[Float[Tensor, "*N o"], ...]:
    """Outputs of each of the `layers` for x."""
    found: tuple[Tensor, ...] = _Linears.apply(x, setting.call(), *_flat(layers))
    return found


def linear(module: LoraLinear, x: Float[Tensor, "*N i"], *args: Any, **kwargs: Any) -> Float[Tensor, "*N o"]:
    """The result of PEFT's `Linear.forward`, to rounding; the outcome of dropout is another draw."""
    call = None if args or kwargs else arguments(module, x.device.type)
    return LoraLinear.forward(module, x, *args, **kwargs) if call is None else linears([call[0]], call[1], x)[0]


def gated_linear(
    module: LoraLinear, gate: Float[Tensor, "*N i"], up: Float[Tensor, "*N i"], act: Callable[[Tensor], Tensor]
) -> Float[Tensor, "*N o"] | None:
    """`linear(module, act(gate)·up)`; None for a call that is PEFT's own affair."""
    call = arguments(module, gate.device.type)
    if call is None:
        return None
    layer, setting = call
    found: Tensor = _GatedLinear.apply(gate, up, act, setting.call(), *layer)
    return found
