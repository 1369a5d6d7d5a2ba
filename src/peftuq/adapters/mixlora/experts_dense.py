"""The inner width of a mixture of gated FFNs without reading from the device: for those that work ahead of the host.

To sort the pairs of tokens and experts by expert (`experts.py`), the host must read how many each expert has, in every
layer. Here, for each of a token's K experts, the low-rank products run over the stacked factors of all E experts, with
zeros in the columns of the others: E·r columns beside a width of d (128 beside 4096 at 7B) and no gather or scatter.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from peftuq.models.recompute.backward import as_written
from peftuq.models.recompute.dropout import dropped
from peftuq.models.recompute.gated import gate_gradients


class Factors(NamedTuple):
    """Stacked factors of all experts that meet the inner width m; the third is applied to what was not dropped."""

    B_gate: Float[Tensor, "m Er"]
    B_up: Float[Tensor, "m Er"]
    A_down: Float[Tensor, "Er m"]


class Dropout(NamedTuple):
    rate: float
    seed: int

    def mask(self, x: Tensor) -> Tensor | None:
        return dropped(x, self.rate, self.seed) if self.rate else None


def _blocks(experts: Int[Tensor, "T K"], n_experts: int, rank: int, dtype: torch.dtype) -> list[Float[Tensor, "T Er"]]:
    """For each k ≤ K: 1 in the r columns of a token's k-th expert, 0 in the others."""
    chosen = F.one_hot(experts, n_experts).to(dtype).repeat_interleave(rank, dim=-1)
    return list(chosen.unbind(dim=1))


class _DenseMixture(torch.autograd.Function):
    """(W1 h, W3 h, A1 h and A3 h of all experts) → (Σ_k w_k u_k, A2 u of the chosen experts in their columns)."""

    @staticmethod
    def forward(
        ctx, gate: Tensor, up: Tensor, low_gate: Tensor, low_up: Tensor, weights: Tensor, B_gate: Tensor, B_up: Tensor,
        A_down: Tensor, experts: Tensor, n_experts: int, act: Callable[[Tensor], Tensor], dropout: Dropout,
    ) -> tuple[Float[Tensor, "T m"], Float[Tensor, "T Er"]]:  # fmt: skip
        ctx.save_for_backward(gate, up, low_gate, low_up, weights, B_gate, B_up, A_down, experts)
        ctx.act, ctx.dropout, ctx.n_experts = act, dropout, n_experts
        factors = Factors(*(factor.to(gate.dtype) for factor in (B_gate, B_up, A_down)))
        mask, mixed, low_down = dropout.mask(gate), torch.zeros_like(gate), torch.zeros_like(low_gate)
        for k, block in enumerate(_blocks(experts, n_experts, low_gate.shape[1] // n_experts, gate.dtype)):
            u = act(torch.addmm(gate, low_gate * block, factors.B_gate.T))
            u.mul_(torch.addmm(up, low_up * block, factors.B_up.T))
            mixed.addcmul_(u, weights[:, k, None].to(u.dtype))
            kept = u if mask is None else u.masked_fill_(mask, 0)
            low_down.addcmul_(kept @ factors.A_down.T, block)
        return mixed, low_down

    @staticmethod
    @as_written
    def backward(ctx, d_mixed: Tensor, d_low_down: Tensor):
        gate, up, low_gate, low_up, weights, *own, experts = ctx.saved_tensors
        factors = Factors(*(factor.to(gate.dtype) for factor in own))
        mask = ctx.dropout.mask(gate)
        d_gate, d_up, d_low_gate, d_low_up = (torch.zeros_like(t) for t in (gate, up, low_gate, low_up))
        d_factors, d_weights = Factors(*(torch.zeros_like(factor) for factor in own)), torch.zeros_like(weights)
        for k, block in enumerate(_blocks(experts, ctx.n_experts, low_gate.shape[1] // ctx.n_experts, gate.dtype)):
            at_gate, at_up, d_low = low_gate * block, low_up * block, d_low_down * block
            z = torch.addmm(gate, at_gate, factors.B_gate.T)
            v = torch.addmm(up, at_up, factors.B_up.T)
            u = ctx.act(z).mul_(v)
            d_weights[:, k] = (u * d_mixed).sum(dim=1, dtype=weights.dtype)
            d_factors.A_down.add_(d_low.T @ (u if mask is None else u.masked_fill_(mask, 0)))
            d_u = d_low @ factors.A_down
            if mask is not None:
                d_u.masked_fill_(mask, 0)
            d_u.addcmul_(d_mixed, weights[:, k, None].to(d_u.dtype))
            d_z, d_v = gate_gradients(ctx.act, z, v, d_u)
            for d, low, B, d_low_in, d_B, d_frozen in (
                (d_z, at_gate, factors.B_gate, d_low_gate, d_factors.B_gate, d_gate),
                (d_v, at_up, factors.B_up, d_low_up, d_factors.B_up, d_up),
            ):
                d_low_in.addcmul_(d @ B, block)
                d_B.add_(d.T @ low)
                d_frozen.add_(d)
        return d_gate, d_up, d_low_gate, d_low_up, d_weights, *d_factors, None, None, None, None


def dense_mixture(
    frozen: Sequence[Float[Tensor, "T m"]], low: Sequence[Float[Tensor, "T Er"]], weights: Float[Tensor, "T K"],
    experts: Int[Tensor, "T K"], n_experts: int, A: Mapping[str, Tensor], B: Mapping[str, Tensor],
    act: Callable[[Tensor], Tensor], dropout: Dropout,
) -> tuple[Float[Tensor, "T m"], Float[Tensor, "T Er"]]:  # fmt: skip
    """(Σ_k w_k u_k, A2 drop(u_k) of each chosen expert in its r of the E·r columns, 0 in the others).

    `frozen`: W1 h and W3 h; `low`: the scaled A1 h and A3 h of all experts. `dropout` zeroes inputs of A2 and does not
    scale them.
    """
    return _DenseMixture.apply(
        *frozen, *low, weights, B["gate"], B["up"], A["down"], experts, n_experts, act, dropout
    )  # fmt: skip
