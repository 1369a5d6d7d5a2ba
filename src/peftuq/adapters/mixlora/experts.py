"""Experts that span a gated FFN, at the price of one FFN.

Expert e computes  W2' u_e  with  u_e = act(W1 h + B1_e A1_e h) ⊙ (W3 h + B3_e A3_e h)  and  W2' = W2 + B2_e A2_e.
W1 h and W3 h do not depend on e, and W2 is linear: Σ_k w_k W2 u_k = W2 Σ_k w_k u_k. So the three frozen matrices run
once a token, whatever K, and the products with A1, A3 and B2 are one each, with the stacked factors of all experts.
What is left is of rank r. On a processor it runs over the (token, expert) pairs sorted by expert, where an expert's
pairs are one slice: on the stacked factors (`experts_dense.py`) it would multiply by E - 1 blocks of zeros, which at
d = 576 costs as much as the frozen matrices do. Nothing of the FFN's inner width is kept for a pair: the backward pass
recomputes it from W1 h and W3 h, so that a mixture keeps no more for the backward pass than plain LoRA does.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from peftuq.adapters.mixlora.experts_dense import Dropout, dense_mixture
from peftuq.models.recompute.backward import as_written
from peftuq.models.recompute.dropout import draw_seed
from peftuq.models.recompute.projection import projection, rate

ROLES = ("gate", "up", "down")


class Pairs(NamedTuple):
    """The P = T·K pairs of a token and an expert of it, sorted by expert.

    `slot`: a pair's index in the flattened (T, K) grid; `position`: that of each slot's pair among the sorted pairs;
    `runs`: (expert, the slice of its pairs), without those that have none.
    """

    slot: Int[Tensor, " P"]
    token: Int[Tensor, " P"]
    expert: Int[Tensor, " P"]
    position: Int[Tensor, "T K"]
    runs: list[tuple[int, slice]]


def pairs_by_expert(experts: Int[Tensor, " P"], n_experts: int) -> list[int]:
    """How many pairs each expert has. Waits for the device."""
    return (experts[:, None] == torch.arange(n_experts, device=experts.device)).sum(dim=0).tolist()


def sort_pairs(experts: Int[Tensor, "T K"], n_experts: int) -> Pairs:
    flat = experts.flatten()
    slot = flat.argsort(stable=True)
    sizes = pairs_by_expert(flat, n_experts)
    ends = list(itertools.accumulate(sizes))
    runs = [(e, slice(end - size, end)) for e, (size, end) in enumerate(zip(sizes, ends, strict=True)) if size]
    return Pairs(slot, slot // experts.shape[1], flat[slot], slot.argsort().view_as(experts), runs)


def _corrected(
    frozen: Float[Tensor, "T m"], low: Float[Tensor, "P r"], B: Float[Tensor, "E r m"], token: Tensor, runs: list
) -> Float[Tensor, "P m"]:
    """W h + B_e A_e h of each pair."""
    z = frozen.index_select(0, token)
    for e, run in runs:
        z[run].addmm_(low[run], B[e])
    return z


def _by_token(rows: Float[Tensor, "P m"], position: Int[Tensor, "T K"]) -> Float[Tensor, "T m"]:
    """The sum of each token's pairs; gathers, because a scatter on a GPU adds in no fixed order."""
    total = rows.index_select(0, position[:, 0])
    for slot in position.T[1:]:
        total += rows.index_select(0, slot)
    return total


class _Mixture(torch.autograd.Function):
    """(W1 h, W3 h, low-rank inputs of the pairs) → (Σ_k w_k u_k, A2 u of the pairs): what sees the inner width m."""

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
        dropout: Dropout,
        act: Callable[[Tensor], Tensor],
        pairs: Pairs,
    ) -> tuple[Float[Tensor, "T m"], Float[Tensor, "P r"]]:
        token, runs = pairs.token, pairs.runs
        u = act(_corrected(gate, low_gate, B_gate, token, runs)).mul_(_corrected(up, low_up, B_up, token, runs))
        mask = dropout.mask(gate)
        kept = u if mask is None else u.masked_fill(mask.index_select(0, token), 0)
        low_down = torch.empty_like(low_gate)
        for e, run in runs:
            torch.mm(kept[run], A_down[e].T, out=low_down[run])
        ctx.save_for_backward(gate, up, low_gate, low_up, weight, B_gate, B_up, A_down, token, pairs.position)
        ctx.act, ctx.runs, ctx.dropout = act, runs, dropout
        return _by_token(u.mul_(weight), pairs.position), low_down

    @staticmethod
    @as_written
    def backward(ctx, d_mixed: Tensor, d_low_down: Tensor):
        gate, up, low_gate, low_up, weight, B_gate, B_up, A_down, token, position = ctx.saved_tensors
        z = _corrected(gate, low_gate, B_gate, token, ctx.runs)
        v = _corrected(up, low_up, B_up, token, ctx.runs)
        with torch.enable_grad():
            activated = ctx.act(z.requires_grad_())
        a = activated.detach()
        u, d_weighted = a * v, d_mixed.index_select(0, token)  # ∂ by w u
        spare = torch.empty_like(u)  # memory of width m for three results, each read before the next is written
        d_weight = torch.mul(u, d_weighted, out=spare).sum(dim=1, keepdim=True, dtype=weight.dtype)
        d_u = d_weighted.mul_(weight)  # ∂ by u, through the mixed output alone
        mask = ctx.dropout.mask(gate)
        dropped = None if mask is None else mask.index_select(0, token)
        kept = u if dropped is None else u.masked_fill_(dropped, 0)  # the input of A2
        d_A_down, d_kept = torch.zeros_like(A_down), spare
        for e, run in ctx.runs:
            torch.mm(d_low_down[run].T, kept[run], out=d_A_down[e])
            torch.mm(d_low_down[run], A_down[e], out=d_kept[run])
        d_u.add_(d_kept if dropped is None else d_kept.masked_fill_(dropped, 0))  # and through A2
        d_v = torch.mul(a, d_u, out=spare)
        d_a = v.mul_(d_u)
        (d_z,) = torch.autograd.grad(activated, z, d_a)
        d_low_gate, d_B_gate = _factors(d_z, low_gate, B_gate, ctx.runs)
        d_low_up, d_B_up = _factors(d_v, low_up, B_up, ctx.runs)
        d_gate, d_up = _by_token(d_z, position), _by_token(d_v, position)
        return d_gate, d_up, d_low_gate, d_low_up, d_weight, d_B_gate, d_B_up, d_A_down, None, None, None


def _factors(d: Tensor, low: Tensor, B: Tensor, runs: list) -> tuple[Float[Tensor, "P r"], Float[Tensor, "E r m"]]:
    """Gradients of `_corrected` with respect to `low` and B."""
    d_low, d_B = torch.empty_like(low), torch.zeros_like(B)
    for e, run in runs:
        torch.mm(d[run], B[e].T, out=d_low[run])
        torch.mm(low[run].T, d[run], out=d_B[e])
    return d_low, d_B


def sorted_mixture(
    frozen: Sequence[Float[Tensor, "T m"]], low: Sequence[Float[Tensor, "T Er"]], weights: Float[Tensor, "T K"],
    experts: Int[Tensor, "T K"], n_experts: int, A: Mapping[str, Tensor], B: Mapping[str, Tensor],
    act: Callable[[Tensor], Tensor], dropout: Dropout,
) -> tuple[Float[Tensor, "T m"], Float[Tensor, "T Er"]]:  # fmt: skip
    """`dense_mixture`, over the pairs sorted by expert."""
    pairs, dtype, tokens = sort_pairs(experts, n_experts), frozen[0].dtype, len(experts)
    index = pairs.token * n_experts + pairs.expert  # in the grid of (token, expert)
    mixed, low_down = _Mixture.apply(
        *frozen, *(x.reshape(tokens * n_experts, -1).index_select(0, index) for x in low),
        weights.flatten().index_select(0, pairs.slot)[:, None],
        _by_expert(B["gate"], n_experts, dtype), _by_expert(B["up"], n_experts, dtype),
        A["down"].to(dtype).unflatten(0, (n_experts, -1)), dropout, act, pairs,
    )  # fmt: skip
    spread = low_down.new_zeros(tokens * n_experts, low_down.shape[1]).index_copy(0, index, low_down)
    return mixed, spread.view(tokens, -1)


def _by_expert(B: Tensor, n_experts: int, dtype: torch.dtype) -> Float[Tensor, "E r m"]:
    return B.to(dtype).unflatten(1, (n_experts, -1)).permute(1, 2, 0).contiguous()


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
    gate, up = ffn.gate_proj(h), ffn.up_proj(h)
    dtype, p = gate.dtype, rate(dropout)
    low = projection(h, A["gate"], A["up"], dtype=dtype, scale=scale, p=p).chunk(2, dim=-1)
    # On a processor, E - 1 blocks of zeros cost as much as the frozen matrices do; a GPU would wait for the sorting.
    mixture = sorted_mixture if h.device.type == "cpu" else dense_mixture
    mixed, low_down = mixture(
        (gate, up), low, weights, experts, n_experts, A, B, ffn.act_fn, Dropout(p, draw_seed() if p else 0)
    )
    share = _by_column(weights * (scale / (1 - p)), experts, n_experts).to(dtype)[..., None]
    low_down = (low_down.unflatten(-1, (n_experts, -1)) * share).flatten(-2)
    return ffn.down_proj(mixed) + F.linear(low_down, B["down"].to(dtype))


def _by_column(weights: Float[Tensor, "*N K"], experts: Int[Tensor, "*N K"], n_experts: int) -> Float[Tensor, "*N E"]:
    return weights.new_zeros(*weights.shape[:-1], n_experts).scatter(-1, experts, weights)


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
    low = projection(x, A, dtype=y.dtype, p=rate(dropout)).unflatten(-1, (n_experts, -1))
    share = _by_column(weights * scale, experts, n_experts).to(y.dtype)[..., None]
    return y + F.linear((low * share).flatten(-2), B.to(y.dtype))
