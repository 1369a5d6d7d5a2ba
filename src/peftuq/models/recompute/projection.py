"""Products of an input with trained matrices that keep the input as it came: no copy in another type, none dropped."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from peftuq.models.recompute.backward import as_written
from peftuq.models.recompute.dropout import draw_seed, kept


class _Projection(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, scale: float, p: float, seed: int, dtype: torch.dtype, *weights: Tensor) -> Tensor:
        ctx.save_for_backward(x, *weights)
        ctx.scale, ctx.p, ctx.seed, ctx.dtype = scale, p, seed, dtype
        seen = kept(x, p, seed).mul_(x) if p else x
        return F.linear(seen.to(dtype), torch.cat(weights).to(dtype)).mul_(scale)

    @staticmethod
    @as_written
    def backward(ctx, d_y: Tensor):
        x, *weights = ctx.saved_tensors
        mask = kept(x, ctx.p, ctx.seed) if ctx.p else None
        seen = x if mask is None else x * mask
        d_y = d_y * ctx.scale
        d_weight = d_y.flatten(0, -2).T @ seen.to(ctx.dtype).flatten(0, -2)
        d_weights = (d.to(w.dtype) for d, w in zip(d_weight.split([len(w) for w in weights]), weights, strict=True))
        if not ctx.needs_input_grad[0]:
            return None, None, None, None, None, *d_weights
        d_x = (d_y @ torch.cat(weights).to(ctx.dtype)).to(x.dtype)
        return d_x if mask is None else d_x.mul_(mask), None, None, None, None, *d_weights


def projection(
    x: Float[Tensor, "*N d"], *weights: Float[Tensor, "r d"], dtype: torch.dtype, scale: float = 1.0, p: float = 0.0
) -> Float[Tensor, "*N R"]:
    """`scale`·drop(x) Wᵀ with W the `weights` stacked, computed in `dtype`; `p` is dropout's rate."""
    return _Projection.apply(x, scale / (1 - p), p, draw_seed() if p else 0, dtype, *weights)


def rate(dropout: nn.Module) -> float:
    """The rate that a dropout layer applies in the mode it is in."""
    return dropout.p if isinstance(dropout, nn.Dropout) and dropout.training else 0.0
