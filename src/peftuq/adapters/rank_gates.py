"""A random gate on each rank of LoRA, ΔW = B diag(g) V: what ScalaBL and DALorRA share.

V and the gates' parameters are saved beside LoRA's factors, which are the mean, A = diag(E g) V: any loader of LoRA
finds it.
"""

from collections.abc import Iterator
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from peftuq.models.recompute import dropout


class GatedFactor(nn.Module):
    """A = diag(g) V in place of LoRA's A: g is drawn in each forward pass while it trains, else its mean.

    A subclass names the tensors (r, 1) that decide g in `names`, and defines `mean` and `sample` of them.
    """

    names: ClassVar[tuple[str, ...]]

    def __init__(self, A: nn.Linear):
        super().__init__()
        self.V = A.weight
        for name in self.names:
            self.register_parameter(name, nn.Parameter(torch.ones_like(A.weight[:, :1])))
        self.register_state_dict_post_hook(_save_mean)
        self.register_load_state_dict_pre_hook(_without_mean)

    def mean(self, *gates: Tensor) -> Tensor:
        """E g (r, 1); nowhere 0."""
        raise NotImplementedError

    def sample(self, *gates: Tensor, generator: torch.Generator, relaxed: bool) -> Tensor:
        """A draw of g (r, 1), differentiable if `relaxed`; the generator's device is the tensors'."""
        raise NotImplementedError

    @property
    def gates(self) -> list[nn.Parameter]:
        return [self.get_parameter(name) for name in self.names]

    @property
    def weight(self) -> Tensor:
        """The mean of A (r, in)."""
        return self.mean(*self.gates) * self.V

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            generator = dropout.generator(x.device, dropout.draw_seed())
            gate = self.sample(*self.gates, generator=generator, relaxed=True)
        else:
            gate = self.mean(*self.gates)
        low = F.linear(x, self.V)
        return low * gate.flatten().to(low.dtype)


def _save_mean(module: nn.Module, tensors: dict[str, Tensor], prefix: str, local_metadata: Any) -> None:
    assert isinstance(module, GatedFactor)
    tensors[f"{prefix}weight"] = module.weight.detach()


def _without_mean(module: nn.Module, tensors: dict[str, Tensor], prefix: str, *_: Any) -> None:
    tensors.pop(f"{prefix}weight", None)  # V and the gates make it again


def factors(model: nn.Module) -> Iterator[tuple[str, GatedFactor]]:
    return ((name, module) for name, module in model.named_modules() if isinstance(module, GatedFactor))


def draw(model: nn.Module, generator: torch.Generator) -> dict[str, Tensor]:
    """Values of every V with which the mean gates make diag(g) V for a draw of g."""
    found = {}
    for name, factor in factors(model):
        gates = [gate.detach().cpu() for gate in factor.gates]
        turned = factor.sample(*gates, generator=generator, relaxed=False) / factor.mean(*gates)
        found[f"{name}.V"] = turned.to(factor.V.device) * factor.V.detach()
    return found
