"""Frozen RMSNorm that keeps its input as it came and one float32 number a token.

Written out in torch, the norm keeps two float32 copies of its input, four times what a bf16 model's input itself takes.
The order of rounding is that of the modules of `transformers`, so that outputs agree to the bit.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from peftuq.models.recompute.backward import as_written


class _Norm(torch.autograd.Function):
    """x̂·w with x̂ = x / sqrt(mean(x²) + eps); `rounded`: x̂ is rounded to the type of x before it meets w."""

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, eps: float, rounded: bool) -> Tensor:
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        rstd = torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + eps)
        ctx.save_for_backward(x, weight, rstd)
        scaled = wide * rstd
        return weight * scaled.to(x.dtype) if rounded else (scaled * weight).type_as(x)

    @staticmethod
    @as_written
    def backward(ctx, d_y: Tensor):
        x, weight, rstd = ctx.saved_tensors
        scaled = x.to(rstd.dtype) * rstd
        d_scaled = d_y.to(rstd.dtype) * weight
        inner = (d_scaled * scaled).mean(-1, keepdim=True)
        return d_scaled.sub_(scaled.mul_(inner)).mul_(rstd).to(x.dtype), None, None, None


def llama_norm(module: nn.Module, x: Float[Tensor, "*N d"]) -> Float[Tensor, "*N d"]:
    """The forward pass of Llama's, Mistral's, Qwen2's and Qwen3's RMSNorm, the last also of queries and keys."""
    if not module.training or module.weight.requires_grad:
        return type(module).forward(module, x)
    return _Norm.apply(x, module.weight, module.variance_epsilon, True)


def gemma_norm(module: nn.Module, x: Float[Tensor, "*N d"]) -> Float[Tensor, "*N d"]:
    """The forward pass of Gemma's RMSNorm, whose weight counts from 1 and meets x before it is rounded."""
    if not module.training or module.weight.requires_grad:
        return type(module).forward(module, x)
    return _Norm.apply(x, 1.0 + module.weight.to(torch.promote_types(x.dtype, torch.float32)), module.eps, False)
