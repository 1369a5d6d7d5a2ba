"""Which experts a token goes to.

Routers compute in float32 whatever the model computes in: a bf16 softmax over experts is only known to 1/256, too
coarse for a loss on its mass.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor


class Route(NamedTuple):
    """`probabilities` of all experts; the K likeliest `experts` of each token and their `weights`, which sum to 1."""

    probabilities: Float[Tensor, "*N E"]
    weights: Float[Tensor, "*N K"]
    experts: Int[Tensor, "*N K"]


def route(h: Float[Tensor, "*N d"], router: Float[Tensor, "E d"], top_k: int) -> Route:
    """Keep-Top-K(softmax(W h)) (UQ4CT eq. 3); the kept mass is renormalised so that the frozen path has weight 1."""
    with torch.autocast(h.device.type, enabled=False):
        probabilities = F.linear(h.float(), router.float()).softmax(dim=-1)
    kept, experts = probabilities.topk(top_k, dim=-1)
    return Route(probabilities, kept / kept.sum(dim=-1, keepdim=True), experts)
