"""Dropout masks drawn from a seed: the backward pass draws them again instead of keeping them.

A seed comes from torch's global generator on the CPU, which a training seeds at every step: no device is waited for,
and gradient checkpointing, which restores that generator, finds the same masks.
"""

import torch
from jaxtyping import Bool
from torch import Tensor


def draw_seed() -> int:
    """A seed in [0, 2⁶³) from torch's global generator."""
    return int(torch.randint(2**63 - 1, ()))


def dropped(like: Tensor, p: float, seed: int) -> Bool[Tensor, "*shape"]:
    """True with probability `p`, in the shape and on the device of `like`: a function of `seed`, `p`, size and device."""
    generator = torch.Generator(like.device)
    generator.manual_seed(seed)
    return torch.empty(like.shape, dtype=torch.bool, device=like.device).bernoulli_(p, generator=generator)
