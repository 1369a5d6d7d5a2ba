"""FLOPs, and bytes read and written, of one operation."""

from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import flop_registry, sdpa_backward_flop_count, sdpa_flop_count

aten = torch.ops.aten
NO_KERNEL = {aten.empty, aten.empty_like, aten.empty_strided, aten.new_empty, aten.new_empty_strided, aten.detach}
NO_KERNEL |= {aten.alias, aten.lift_fresh, aten._unsafe_view, aten._reshape_alias, aten._linalg_check_errors}
_ROWS = {aten.index, aten.index_select, aten.embedding, aten.gather}  # read as much as they return
_WRITE = {aten.fill_, aten.zero_, aten.bernoulli_, aten.normal_, aten.uniform_, aten.random_}  # read nothing
_IN_PLACE = {aten.addmm_: aten.addmm, aten.baddbmm_: aten.baddbmm}  # of which torch's counter does not know
# Golub and Van Loan, Matrix Computations: tridiagonalisation and QR steps; R-SVD with vectors.
_EIGEN, _SVD = 9.0, 14.0


def launches(func: Any) -> bool:
    """Whether an operation starts a kernel: no view, and no bare allocation."""
    return not func.is_view and func.overloadpacket not in NO_KERNEL


def flops(func: Any, args: tuple, kwargs: dict, out: Any) -> float:
    """FLOPs of products, attention and decompositions; 0 for what is bound by memory."""
    packet = func.overloadpacket
    if packet is aten._scaled_dot_product_flash_attention_for_cpu:
        return float(sdpa_flop_count(*(x.shape for x in args[:3])))
    if packet is aten._scaled_dot_product_flash_attention_for_cpu_backward:
        return float(sdpa_backward_flop_count(*(x.shape for x in args[:4])))
    if packet in (aten.mv, aten.dot, aten.addmv):
        return 2.0 * max(x.numel() for x in args if isinstance(x, Tensor))
    if packet is aten._linalg_eigh:
        return _EIGEN * args[0].shape[-1] * args[0].numel()
    if packet is aten._linalg_svd:
        return _SVD * min(args[0].shape[-2:]) * args[0].numel()
    formula = flop_registry.get(_IN_PLACE.get(packet, packet))
    return 0.0 if formula is None else float(formula(*args, **kwargs, out_val=out))


def moved(func: Any, inputs: list[Tensor], outputs: list[Tensor]) -> float:
    """Bytes: every operand once, every result once, each no more than its storage."""
    packet = func.overloadpacket
    if packet in _WRITE:
        return _bytes(outputs)
    if packet in _ROWS:
        return 2 * _bytes(outputs) + _bytes(inputs[1:])
    if packet is aten.copy_:
        return _bytes(inputs[1:]) + _bytes(outputs)
    return _bytes(inputs) + (_bytes(outputs) or _bytes(inputs))  # without results: written in place


def computes_in(inputs: list[Tensor], outputs: list[Tensor]) -> str:
    """The type of an operation's first operand that is a floating-point number."""
    found = next((t.dtype for t in (*inputs, *outputs) if t.dtype.is_floating_point), torch.float32)
    return str(found).removeprefix("torch.")


def _bytes(tensors: list[Tensor]) -> float:
    return float(sum(min(t.numel() * t.element_size(), t.shape_only.untyped_storage().nbytes()) for t in tensors))
