"""The logarithm of a vocabulary's summed exponentials in float32, without the vocabulary in float32.

An LM head of bf16 in float32 is the largest tensor of a forward pass (LLaMA-2 524 MB, Qwen2.5 2.2 GB), as are its
logits for a long list of rows. Both pass by in pieces.
"""

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from peftuq.models.recompute.backward import as_written

ROWS = 8192  # of the head at a time: 134 MB at width 4096


def _pieces(weight: Tensor, dtype: torch.dtype) -> Iterator[Tensor]:
    return (piece.to(dtype) for piece in weight.split(ROWS))


def corrected_logsumexp(
    h: Float[Tensor, "N d"], weight: Float[Tensor, "V d"], low: Float[Tensor, "N r"], up: Float[Tensor, "V r"]
) -> Float[Tensor, " N"]:
    """log Σ_v exp(w_v · h + up_v · low), in the type of h."""
    pieces = zip(_pieces(weight, h.dtype), _pieces(up, h.dtype), strict=True)
    return torch.stack([(h @ w.T + low @ b.T).logsumexp(dim=1) for w, b in pieces]).logsumexp(dim=0)


def logsumexp(h: Float[Tensor, "N d"], weight: Float[Tensor, "V d"]) -> Float[Tensor, " N"]:
    """log Σ_v exp(w_v · h), in the type of h."""
    return torch.stack([(h @ piece.T).logsumexp(dim=1) for piece in _pieces(weight, h.dtype)]).logsumexp(dim=0)


class _LogSumExp(torch.autograd.Function):
    @staticmethod
    def forward(ctx, h: Tensor, weight: Tensor) -> Tensor:
        total = logsumexp(h, weight)
        ctx.save_for_backward(h, weight, total)
        return total

    @staticmethod
    @as_written
    def backward(ctx, d_total: Tensor):
        h, weight, total = ctx.saved_tensors
        d_h = torch.zeros_like(h)
        for piece in _pieces(weight, h.dtype):
            d_h.addmm_((h @ piece.T).sub_(total[:, None]).exp_(), piece)
        return d_h.mul_(d_total[:, None]), None


def recomputed_logsumexp(h: Float[Tensor, "N d"], weight: Float[Tensor, "V d"]) -> Float[Tensor, " N"]:
    """The same, keeping no logit for the backward pass; the gradient is by h alone, for `weight` is frozen."""
    return _LogSumExp.apply(h, weight)
