"""How the backward passes of this package run."""

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def as_written(backward: Callable[..., Any]) -> Callable[..., Any]:
    """A `backward` that computes in the types it names even inside an autocast block, and is not differentiated."""

    @once_differentiable
    @functools.wraps(backward)
    def wrapped(ctx: Any, *gradients: Tensor) -> Any:
        with torch.autocast(gradients[0].device.type, enabled=False):
            return backward(ctx, *gradients)

    return wrapped
