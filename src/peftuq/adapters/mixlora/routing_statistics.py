"""Router probabilities in a forward pass, and from them functional-level uncertainty and load balance."""

import contextlib
import re
from collections.abc import Iterator
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from peftuq.adapters.mixlora.layers import RoutedLayer


class Routing:
    """Routers' probabilities (N, T, E) in one forward pass, by the router's name."""

    def __init__(self) -> None:
        self.probabilities: dict[str, Float[Tensor, "N T E"]] = {}
        self.top_k = 0

    def observe(self, name: str, probabilities: Tensor, top_k: int) -> None:
        self.probabilities[name], self.top_k = probabilities, top_k

    def blocks(self) -> list[list[Float[Tensor, "N T E"]]]:
        """The routers' probabilities by transformer block, in the order of depth."""
        found: dict[int, list[Tensor]] = {}
        for name, probabilities in self.probabilities.items():
            found.setdefault(int(re.search(r"\.(\d+)\.", name)[1]), []).append(probabilities)
        return [found[depth] for depth in sorted(found)]

    def mass(self) -> Float[Tensor, "L N T"]:
        """Σ_{k≤K} p_k, before renormalisation, in [K/E, 1]; the mean over a block's routers."""
        return torch.stack([torch.stack([self._kept(p) for p in block]).mean(dim=0) for block in self.blocks()])

    def _kept(self, probabilities: Tensor) -> Tensor:
        return probabilities.topk(self.top_k, dim=-1).values.sum(dim=-1)

    def flu(self, lengths: Int[Tensor, " N"]) -> Float[Tensor, "N L 2"] | None:
        """Functional-level uncertainty by block (UQ4CT eq. 12): its mean over axis 1 is the paper's FLU, in [K/E, 1].

        Last axis: the mean over an example's tokens, and its last token. Padding lies to the right of `lengths`.
        Differentiable with respect to the routers. None if the model has no router.
        """
        if not self.probabilities:
            return None
        mass = self.mass()
        real = _real(mass.shape[-1], lengths)
        mean = (mass * real).sum(dim=-1) / lengths
        last = mass.gather(-1, (lengths - 1).expand(len(mass), -1)[..., None])[..., 0]
        return torch.stack([mean, last], dim=-1).transpose(0, 1)

    def balance(
        self,
        lengths: Int[Tensor, " N"],
        coefficient: float = 1e-2,
        count: Literal["argmax", "topk"] = "argmax",
        over: Literal["mean", "sum", "pooled"] = "mean",
    ) -> Tensor:
        """Load-balancing loss (UQ4CT eq. 15-16), a scalar: `coefficient`·E·Σ_i F_i P_i over real tokens.

        `count`: F_i is the share of tokens whose likeliest expert is i (`argmax`, eq. 16; Σ F = 1) or of whose K
        experts one is i (`topk`, the authors' code; Σ F = K). `over`: the `mean` or `sum` of the blocks' losses (each
        the mean over its routers), or the loss of F and P `pooled` over all routers (the authors' code).
        """
        blocks = [[self._shares(p, lengths, count) for p in block] for block in self.blocks()]
        if over == "pooled":
            used, mean = torch.stack([share for block in blocks for share in block]).mean(dim=0)
            return coefficient * len(used) * (used * mean).sum()
        losses = [torch.stack([len(f) * (f * p).sum() for f, p in block]).mean() for block in blocks]
        return coefficient * (torch.stack(losses).mean() if over == "mean" else torch.stack(losses).sum())

    def _shares(self, probabilities: Tensor, lengths: Tensor, count: str) -> Float[Tensor, "2 E"]:
        """(F, P): each expert's share of the real tokens, and its mean probability over them."""
        real = _real(probabilities.shape[1], lengths)[..., None]
        chosen = probabilities.topk(self.top_k if count == "topk" else 1, dim=-1).indices
        used = F.one_hot(chosen, probabilities.shape[-1]).sum(dim=-2)
        return torch.stack([(share * real).sum(dim=(0, 1)) / real.sum() for share in (used, probabilities)])


def _real(width: int, lengths: Tensor) -> Tensor:
    return torch.arange(width, device=lengths.device) < lengths[:, None]


@contextlib.contextmanager
def record(model: nn.Module) -> Iterator[Routing]:
    """Collect the probabilities of `model`'s routers in the forward pass inside the block.

    Gradients flow from the result into the routers. What gradient checkpointing (`use_reentrant=False`) computes
    again during the backward pass lies outside the block and is not collected. A model without routers: nothing.
    """
    routing = Routing()
    routers = {name: module for name, module in model.named_modules() if isinstance(module, RoutedLayer)}
    for name, module in routers.items():
        module.observer = lambda p, k, name=name: routing.observe(name, p, k)
    try:
        yield routing
    finally:
        for module in routers.values():
            module.observer = None
