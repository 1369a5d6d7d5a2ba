"""Experts that span a gated FFN, at the price of one FFN.

Expert e computes  W2' u_e  with  u_e = act(W1 h + B1_e A1_e h) ⊙ (W3 h + B3_e A3_e h)  and  W2' = W2 + B2_e A2_e.
W1 h and W3 h do not depend on e, and W2 is linear: Σ_k w_k W2 u_k = W2 Σ_k w_k u_k. So the three frozen matrices run
once a token, whatever K. The low-rank inputs A h come from one product with the stacked A of all experts; what is
left is of rank r and runs over the (token, expert) pairs sorted by expert, where each expert's pairs are one slice.
Nothing of width `inner` is kept for a pair: the backward pass recomputes it from W1 h and W3 h, so that a mixture
keeps less for the backward pass than plain LoRA does.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

ROLES = ("gate", "up", "down")


class Pairs(NamedTuple):
    """The P = T·K pairs of a token and an expert of it, sorted by expert.

    `slot`: a pair's place in the flattened (T, K) grid; `runs`: (expert, its slice of the pairs), empty ones left out.
    """

    slot: Int[Tensor, " P"]
    token: Int[Tensor, " P"]
    expert: Int[Tensor, " P"]
    runs: list[tuple[int, slice]]


def sort_pairs(experts: Int[Tensor, "T K"], n_experts: int) -> Pairs:
    flat = experts.flatten()
    slot = flat.argsort(stable=True)
    # Without storage there is nothing to count, and any split has the right shapes.
    sizes = (flat[:, None] == torch.arange(n_experts, device=flat.device)).sum(dim=0)
    sizes = [len(flat)] if flat.is_meta else sizes.tolist()
    ends = torch.tensor(sizes, device="cpu").cumsum(dim=0).tolist()
    runs = [(e, slice(end - size, end)) for e, (size, end) in enumerate(zip(sizes, ends, strict=True)) if size]
    return Pairs(slot, slot // experts.shape[1], flat[slot], runs)


class _Mixture(torch.autograd.Function):
    """(W1 h, W3 h, low-rank inputs of the pairs) → (Σ_k w_k u_k, A2 u of the pairs), the part that sees `inner`."""

    @staticmethod
    def forward(
        ctx,
        gate: Float[Tensor, "T m"],
        up: Float[Tensor, "T m"],
        low_gate: Float[Tensor, "P r"],
        low_up: Float[Tensor, "P r"],
        weight: Float[Tensor, "P 1"],
        B_gate: Float[Tensor, "E r m"],
        B_up: Float[Tensor, "E r m"],
        A_down: Float[Tensor, "E r m"],
        dropped: Bool[Tensor, "T m"] | None,
        act: Callable[[Tensor], Tensor],
        pairs: Pairs,
    ) -> tuple[Float[Tensor, "T m"], Float[Tensor, "P r"]]:
        mixed, low_down = torch.zeros_like(gate), torch.empty_like(low_gate)
        for e, run in pairs.runs:
            token = pairs.token[run]
            u = act(gate.index_select(0, token).addmm_(low_gate[run], B_gate[e]))
            u = u.mul_(up.index_select(0, token).addmm_(low_up[run], B_up[e]))
            seen = u if dropped is None else u.masked_fill(dropped.index_select(0, token), 0)
            torch.mm(seen, A_down[e].T, out=low_down[run])
            mixed.index_add_(0, token, u.mul_(weight[run]))  # a token is in a run once: no two rows collide
        ctx.save_for_backward(gate, up, low_gate, low_up, weight, B_gate, B_up, A_down, dropped, pairs.token)
        ctx.act, ctx.runs = act, pairs.runs
        return mixed, low_down

    @staticmethod
    @once_differentiable
    def backward(ctx, d_mixed: Tensor, d_low_down: Tensor):
        gate, up, low_gate, low_up, weight, B_gate, B_up, A_down, dropped, tokens = ctx.saved_tensors
        d_gate, d_up, d_B_gate, d_B_up, d_A_down = map(torch.zeros_like, (gate, up, B_gate, B_up, A_down))
        d_low_gate, d_low_up, d_weight = map(torch.empty_like, (low_gate, low_up, weight))
        for e, run in ctx.runs:
            token, d_low = tokens[run], d_low_down[run]
            v = up.index_select(0, token).addmm_(low_up[run], B_up[e])
            with torch.enable_grad():
                z = gate.index_select(0, token).addmm_(low_gate[run], B_gate[e]).requires_grad_()
                activated = ctx.act(z)
            a = activated.detach()
            u, d_u = a * v, d_mixed.index_select(0, token)
            d_weight[run] = (u * d_u).sum(dim=1, keepdim=True, dtype=weight.dtype)
            d_u.mul_(weight[run])
            if dropped is None:
                d_u.addmm_(d_low, A_down[e])
            else:
                gone = dropped.index_select(0, token)
                u.masked_fill_(gone, 0)
                d_u.add_((d_low @ A_down[e]).masked_fill_(gone, 0))
            d_A_down[e].addmm_(d_low.T, u)
            d_v = a * d_u
            (d_z,) = torch.autograd.grad(activated, z, v.mul_(d_u))
            for d, low, B, d_B, d_in, total in (
                (d_z, low_gate, B_gate, d_B_gate, d_low_gate, d_gate),
                (d_v, low_up, B_up, d_B_up, d_low_up, d_up),
            ):
                d_B[e].addmm_(low[run].T, d)
                torch.mm(d, B[e].T, out=d_in[run])
                total.index_add_(0, token, d)
        return d_gate, d_up, d_low_gate, d_low_up, d_weight, d_B_gate, d_B_up, d_A_down, None, None, None


def expert_ffn(
    h: Float[Tensor, "T d"],
    ffn: nn.Module,
    A: Mapping[str, Float[Tensor, "Er d_in"]],
    B: Mapping[str, Float[Tensor, "d_out Er"]],
    weights: Float[Tensor, "T K"],
    experts: Int[Tensor, "T K"],
    n_experts: int,
    scale: float,
    dropout: nn.Module,
) -> Float[Tensor, "T d"]:
    """Σ_k w_k FFN_{e_k}(h): every expert is the whole FFN with `scale`·B_e A_e added to its three layers.

    A and B stack the experts' factors by role (`gate`, `up`, `down`). `dropout` draws one mask for each input of a
    correction: h (shared by gate and up, and by all experts) and u (shared by all experts).
    """
    pairs = sort_pairs(experts, n_experts)
    gate, up = ffn.gate_proj(h), ffn.up_proj(h)
    dtype, rank = gate.dtype, len(A["gate"]) // n_experts
    rows = F.linear(dropout(h).to(dtype), torch.cat([A["gate"], A["up"]]).to(dtype)).mul(scale).view(-1, rank)
    place = pairs.token * (2 * n_experts) + pairs.expert  # in the grid of (token, gate or up, expert)
    weight = weights.flatten().index_select(0, pairs.slot)[:, None]
    rate = dropout.p if isinstance(dropout, nn.Dropout) and dropout.training else 0.0
    dropped = torch.empty_like(gate, dtype=torch.bool).bernoulli_(rate) if rate else None
    mixed, low = _Mixture.apply(
        gate, up, rows.index_select(0, place), rows.index_select(0, place + n_experts), weight,
        _by_expert(B["gate"], n_experts, dtype), _by_expert(B["up"], n_experts, dtype),
        A["down"].to(dtype).unflatten(0, (n_experts, rank)), dropped, ffn.act_fn, pairs,
    )  # fmt: skip
    low = (low * (weight * (scale / (1 - rate)))).to(dtype)
    spread = low.new_zeros(len(h) * n_experts, rank).index_copy(0, pairs.token * n_experts + pairs.expert, low)
    return ffn.down_proj(mixed) + F.linear(spread.view(len(h), -1), B["down"].to(dtype))


def _by_expert(B: Tensor, n_experts: int, dtype: torch.dtype) -> Float[Tensor, "E r m"]:
    return B.to(dtype).unflatten(1, (n_experts, -1)).permute(1, 2, 0).contiguous()


def expert_linear(
    x: Float[Tensor, "*N d"],
    linear: nn.Module,
    A: Float[Tensor, "Er d"],
    B: Float[Tensor, "d_out Er"],
    weights: Float[Tensor, "*N K"],
    experts: Int[Tensor, "*N K"],
    n_experts: int,
    scale: float,
    dropout: nn.Module,
) -> Float[Tensor, "*N d_out"]:
    """W x + `scale` Σ_k w_k B_{e_k} A_{e_k} x (UQ4CT eq. 4): one product with all A, weights, one with all B."""
    y = linear(x)
    low = F.linear(dropout(x).to(y.dtype), A.to(y.dtype)).unflatten(-1, (n_experts, -1))
    mixture = weights.new_zeros(*weights.shape[:-1], n_experts).scatter(-1, experts, weights * scale)
    return y + F.linear((low * mixture[..., None].to(y.dtype)).flatten(-2), B.to(y.dtype))
