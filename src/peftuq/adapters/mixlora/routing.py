"""Which experts a token goes to.

Routers compute in float32 whatever the model computes in: a bf16 softmax over experts is only known to 1/256, too
coarse for a loss on its mass.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from peftuq.models.autocast import no_autocast
from peftuq.models.recompute.projection import projection


class Route(NamedTuple):
    """`probabilities` of all experts; the K likeliest `experts` of each token and their `weights`, which sum to 1."""

    probabilities: Float[Tensor, "*N E"]
    weights: Float[Tensor, "*N K"]
    experts: Int[Tensor, "*N K"]


def route(h: Float[Tensor, "*N d"], router: Float[Tensor, "E d"], top_k: int) -> Route:
    """Keep-Top-K(softmax(W h)) (UQ4CT eq. 3); the kept mass is renormalised so that the frozen path has weight 1."""
    with no_autocast(h.device):
        wide = torch.promote_types(h.dtype, torch.float32)
        probabilities = projection(h, router, dtype=wide).softmax(dim=-1)
    kept, experts = probabilities.topk(top_k, dim=-1)
    return Route(probabilities, kept / kept.sum(dim=-1, keepdim=True), experts)
