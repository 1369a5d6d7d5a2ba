"""Faults that a device refuses and a computation on shapes lets pass."""

from typing import Any

import torch
from torch import Tensor

aten = torch.ops.aten
_PRODUCTS = {aten.mm, aten.bmm, aten.addmm, aten.baddbmm, aten.mv, aten.addmv, aten.dot, aten.addbmm, aten.convolution}
_SAME_TYPE_CUDA = {aten.native_layer_norm, aten._fused_rms_norm, aten.index_copy, aten.index_copy_, aten.index_add}
_SAME_TYPE_CUDA |= {aten.index_add_, aten.scatter_add, aten._scaled_dot_product_flash_attention}
_NO_HALF = ("_linalg", "linalg_", "cholesky", "geqrf", "ormqr", "orgqr", "triangular_solve", "lu_solve", "histc")


_CROSSING = {aten._to_copy, aten.copy_, aten._fused_adamw_, aten._fused_adam_}
_INDEXED = {aten.index, aten.index_put, aten.index_put_}


class Refused(Exception):
    """An operation that a device would not run, in words."""


def check(func: Any, tensors: list[Tensor], kernels: str) -> None:
    """Raise `Refused` for operands of two types in one product, and for linear algebra in half precision."""
    packet = func.overloadpacket
    _check_devices(func, tensors)
    if packet in _PRODUCTS or (packet in _SAME_TYPE_CUDA and kernels == "cuda"):
        types = dict.fromkeys(t.dtype for t in tensors if t.dtype.is_floating_point)
        if len(types) > 1:
            raise Refused(f"{_name(func)}: operands of two types, {_said(types)}")
    if packet.__name__.startswith(_NO_HALF) and any(t.dtype in (torch.bfloat16, torch.float16) for t in tensors):
        raise Refused(f"{_name(func)}: has no kernel for {_said(dict.fromkeys(t.dtype for t in tensors))}")


def _check_devices(func: Any, tensors: list[Tensor]) -> None:
    """A scalar of the host is welcome anywhere, and an index of the host in an indexing; a copy crosses over."""
    if func.overloadpacket in _CROSSING or all(t.device == tensors[0].device or not t.dim() for t in tensors):
        return
    on_host = [t for t in tensors if t.device.type == "cpu"]
    if func.overloadpacket in _INDEXED and not any(t.dtype.is_floating_point for t in on_host):
        return
    shapes = ", ".join(f"{tuple(t.shape)} on {t.device.type}" for t in tensors)
    raise Refused(f"{_name(func)}: operands on two devices: {shapes}")


def of(error: Exception, func: Any) -> Refused:
    """The error of a computation on shapes, which the device would raise as well, in one line."""
    return Refused(f"{_name(func)}: {next(iter(str(error).splitlines()), type(error).__name__)}")


def _name(func: Any) -> str:
    return f"aten.{func.overloadpacket.__name__}"


def _said(types: dict[torch.dtype, None]) -> str:
    return " and ".join(str(t).removeprefix("torch.") for t in types)
