"""Kernels that jobs compute with: the same bits from the same inputs, and bf16 where it is not in the hardware."""

import functools
import warnings
from typing import Any

import torch

_PRODUCTS = ("mm", "addmm", "bmm", "baddbmm")
_LIBRARY = torch.library.Library("aten", "IMPL")  # holds what replaces torch's own as long as it lives


def use_job_kernels() -> None:
    """Choose the process's kernels, for the rest of its life; to call it again changes nothing.

    CUDA computes with kernels that repeat; processors do so anyway. An operation that has none raises `RuntimeError`,
    as does a product of matrices unless CUBLAS_WORKSPACE_CONFIG is set (`jobs.environment`). See docs/gpu.md.
    """
    if torch.cuda.is_available():
        torch.use_deterministic_algorithms(True)
        torch.utils.deterministic.fill_uninitialized_memory = False  # finds reads of it in tests, and costs a pass
    if not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        _multiply_bf16_in_float32()


@functools.cache
def _multiply_bf16_in_float32() -> None:
    """On a processor without bf16 products: those of float32 copies, rounded once, as the hardware has them.

    torch's own fallback takes several times as long (benchmarks/bf16_products.py).
    """
    for name in _PRODUCTS:
        _override(name)


def _override(name: str) -> None:
    plain = torch.library.get_kernel(f"aten::{name}", "CPU")

    def product(keys: torch.DispatchKeySet, *factors: torch.Tensor, **scales: Any) -> torch.Tensor:
        if any(factor.dtype is not torch.bfloat16 for factor in factors):  # of two types: refused, as everywhere
            return plain.call_boxed(keys, *factors, **scales)
        wide = [factor.float() for factor in factors]
        return plain.call_boxed(keys, *wide, **scales).bfloat16()

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*other operators may also be overridden")
        _LIBRARY.impl(name, product, "CPU", with_keyset=True)
