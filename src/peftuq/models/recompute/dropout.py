"""Dropout masks drawn from a seed: the backward pass draws them again instead of keeping them.

A seed comes from torch's global generator on the CPU, which a training seeds at every step: no device is waited for,
and gradient checkpointing, which restores that generator, finds the same masks.
"""

import torch
from jaxtyping import Bool, Float, Int16
from torch import Tensor, nn

from peftuq.models.recompute.backward import as_written


def draw_seed() -> int:
    """A seed in [0, 2⁶³) from torch's global generator."""
    return int(torch.randint(2**63 - 1, ()))


def generator(device: torch.device, seed: int) -> torch.Generator:
    """A generator on `device` that starts from `seed`, made without waiting for the device."""
    made = torch.Generator(device)
    made.manual_seed(seed)
    return made


def _words(like: Tensor, seed: int) -> Int16[Tensor, "*shape"]:
    """Uniform numbers of 16 bits, four drawn at once: on a processor that takes a sixth of the time of `bernoulli_`."""
    words = torch.empty(-(-like.numel() // 4), dtype=torch.int64, device=like.device)
    words.random_(-(2**63), None, generator=generator(like.device, seed))
    return words.view(torch.int16)[: like.numel()].view(like.shape)


def _threshold(p: float) -> int:
    return round(p * 2**16) - 2**15


def dropped(like: Tensor, p: float, seed: int) -> Bool[Tensor, "*shape"]:
    """True with probability `p`, in the shape and on the device of `like`: a function of `seed`, `p`, size and device.

    `p` is met to 2⁻¹⁷.
    """
    return _words(like, seed) < _threshold(p)


def kept(like: Tensor, p: float, seed: int) -> Float[Tensor, "*shape"]:
    """1 where `dropped` is False, else 0, in the type of `like`: a processor multiplies faster than it fills in."""
    return torch.ge(
        _words(like, seed), _threshold(p), out=torch.empty_like(like, memory_format=torch.contiguous_format)
    )


class _Dropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, p: float, seed: int) -> Tensor:
        ctx.p, ctx.seed = p, seed
        return kept(x, p, seed).mul_(x).mul_(1 / (1 - p))

    @staticmethod
    @as_written
    def backward(ctx, d_y: Tensor):
        return kept(d_y, ctx.p, ctx.seed).mul_(d_y).mul_(1 / (1 - ctx.p)), None, None


def drop(module: nn.Dropout, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """The forward pass of a dropout layer of a backbone."""
    if not module.training or not 0 < module.p < 1:
        return type(module).forward(module, x)
    return _Dropout.apply(x, module.p, draw_seed())
