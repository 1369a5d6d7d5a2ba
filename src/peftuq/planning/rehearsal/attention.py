"""Scaled dot product attention as PyTorch dispatches it on CUDA, and on the CPU."""

import torch
import torch.nn.functional as F
from torch import Tensor

aten = torch.ops.aten
ALIGNED = 8  # a head's width in flash attention, and a mask's last axis in the memory-efficient kernel


def attention(
    kernels: str,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """Flash attention, the memory-efficient kernel or plain products, by PyTorch's own conditions."""
    grouped = enable_gqa and query.shape[-3] != key.shape[-3]
    half = query.dtype in (torch.bfloat16, torch.float16)
    width = query.shape[-1]
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        zero = torch.zeros_like(attn_mask, dtype=query.dtype)
        attn_mask = zero.masked_fill_(attn_mask.logical_not(), float("-inf"))
    if kernels == "cpu":
        if dropout_p == 0 and (attn_mask is None or not attn_mask.requires_grad):
            extra = {"attn_mask": attn_mask, "scale": scale}
            return aten._scaled_dot_product_flash_attention_for_cpu(query, key, value, 0.0, is_causal, **extra)[0]
    elif attn_mask is None and half and width <= 256:
        query, key, value = (_padded(x) for x in (query, key, value))
        scale = width**-0.5 if scale is None else scale
        out = aten._scaled_dot_product_flash_attention(query, key, value, dropout_p, is_causal, False, scale=scale)
        return out[0][..., :width]
    elif not grouped and width % (8 if half else 4) == 0:
        keep = any(x.requires_grad for x in (query, key, value)) and torch.is_grad_enabled()
        mask = None if attn_mask is None else _expanded(attn_mask, query, key)
        out = aten._scaled_dot_product_efficient_attention(
            query, key, value, mask, keep, dropout_p, is_causal, scale=scale
        )
        return out[0]
    return aten._scaled_dot_product_attention_math(
        query, key, value, attn_mask, dropout_p, is_causal, None, scale=scale, enable_gqa=enable_gqa
    )[0]


def _padded(x: Tensor) -> Tensor:
    missing = -x.shape[-1] % ALIGNED
    return F.pad(x, (0, missing)) if missing else x


def _expanded(mask: Tensor, query: Tensor, key: Tensor) -> Tensor:
    """A mask whose rows begin at aligned addresses: padded and cut again where they do not."""
    width = mask.shape[-1]
    if width % 16 and width != 1:
        mask = F.pad(mask, (0, -width % 16))[..., :width]
    return mask.expand(*query.shape[:-1], key.shape[-2])
