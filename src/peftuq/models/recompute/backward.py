"""How the backward passes of this package run."""

import functools
from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.autograd.function import once_differentiable

from peftuq.models.autocast import no_autocast


def as_written(backward: Callable[..., Any]) -> Callable[..., Any]:
    """A `backward` that computes in the types it names even inside an autocast block, and is not differentiated."""

    @once_differentiable
    @functools.wraps(backward)
    def wrapped(ctx: Any, *gradients: Tensor) -> Any:
        with no_autocast(gradients[0].device):
            return backward(ctx, *gradients)

    return wrapped
