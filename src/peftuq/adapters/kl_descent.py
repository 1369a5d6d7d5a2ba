"""Descent of a KL divergence by plain SGD beside the optimiser of the likelihood, as BLoB trains (arXiv 2406.11675).

After each step of the optimiser one step of SGD is taken on π_i · KL(q‖p), with the schedule of the learning rate. The
weights π_i = 2^i / (2^{M+1} - 1), i = 1 … M, grow through cycles of M steps and add up to one KL a cycle;
M = ⌊100 n^{π/γ} / batch⌋ for n training examples.
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from peftuq.config.recipe import Recipe


def cycle(examples: int, batch_size: int, gamma: float) -> int:
    """M, the steps of a cycle."""
    return max(1, int(100 * examples ** (math.pi / gamma) / batch_size))


def weight(step: int, length: int) -> float:
    """π_i at a step, counted from 0, of cycles of so many steps."""
    i = step % length + 1
    return float(2.0 ** (i - length - 1) / (1 - 2.0 ** (-length - 1)))


def kl_descent(
    kl: Callable[[], Tensor], parameters: Sequence[Tensor], lr: float, gamma: float, recipe: Recipe, examples: int
) -> Callable[[int, float], None]:
    """The step after a step of the optimiser: called with its number, from 0, and its factor of the learning rate.

    `kl()`: a scalar, nats, whose gradient by each of `parameters` is subtracted, times `lr`, the factor and π_i.
    """
    assert recipe.optimiser is not None
    length = cycle(examples, recipe.optimiser.batch_size, gamma)

    def descend(step: int, factor: float) -> None:
        gradients = torch.autograd.grad(kl(), parameters)
        with torch.no_grad():
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter.sub_(gradient, alpha=lr * factor * weight(step, length))

    return descend
