"""Autocast on the fake device: the operations that CUDA's, or the CPU's, runs in another type.

The lists are those of PyTorch's `aten/src/ATen/autocast_mode.{h,cpp}`, of operations on tensors that models here use.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.utils._pytree import tree_map_only

KEY = "AutocastPrivateUse1"
_LOWER = ["linear", "matmul", "mm", "bmm", "addmm", "baddbmm", "addbmm", "scaled_dot_product_attention", "prelu"]
_LOWER += ["conv1d", "conv2d", "conv3d"]
_LOWER_CUDA_ONLY = ["mv", "addmv", "addr", "linalg_multi_dot"]
_FLOAT32_CUDA = [
    "acos", "asin", "cosh", "erfinv", "exp", "expm1", "log", "log10", "log2", "log1p", "reciprocal", "rsqrt", "sinh",
    "tan", "pow.Tensor_Scalar", "pow.Tensor_Tensor", "pow.Scalar", "softplus", "layer_norm", "native_layer_norm",
    "group_norm", "cosine_similarity", "nll_loss", "kl_div", "l1_loss", "smooth_l1_loss", "huber_loss", "mse_loss",
    "binary_cross_entropy_with_logits", "dist", "cdist", "renorm", "logsumexp",
    "prod", "prod.dim_int", "softmax.int", "log_softmax.int", "cumprod", "cumsum", "linalg_vector_norm",
    "linalg_matrix_norm", "sum", "sum.dim_IntList",
]  # fmt: skip
_FLOAT32_CPU = [
    "prod", "prod.dim_int", "cdist", "mse_loss", "nll_loss", "cross_entropy_loss", "l1_loss", "smooth_l1_loss",
    "huber_loss", "kl_div", "binary_cross_entropy_with_logits", "linalg_cholesky", "linalg_svdvals", "linalg_eigvalsh",
]  # fmt: skip
_PROMOTED_CUDA = ["addcdiv", "addcmul", "dot", "vdot", "index_put", "scatter_add", "tensordot"]
_lists: dict[str, set[str]] = {}
_casts: dict[int, tuple[Tensor, Tensor]] = {}  # by the source's id; the source is held so that its id stays its own
_library: list[torch.library.Library] = []


@contextlib.contextmanager
def like(kernels: str) -> Iterator[None]:
    """Inside, autocast on the fake device does what it does on `cuda` or `cpu`."""
    before = dict(_lists)
    lower = set(_LOWER) | (set(_LOWER_CUDA_ONLY) if kernels == "cuda" else set())
    float32, promoted = (_FLOAT32_CUDA, _PROMOTED_CUDA) if kernels == "cuda" else (_FLOAT32_CPU, [])
    _lists.update(lower=lower, float32=set(float32), promoted=set(promoted))
    clear = torch.clear_autocast_cache

    def cleared() -> None:
        _casts.clear()
        clear()

    try:
        with mock.patch.object(torch, "clear_autocast_cache", cleared):
            yield
    finally:
        _casts.clear()
        _lists.clear()
        _lists.update(before)


def register() -> None:
    """Make autocast known to the device; once a process."""
    fallback = torch.library.Library("_", "IMPL", KEY)
    fallback.fallback(torch.library.fallthrough_kernel)
    library = torch.library.Library("aten", "IMPL", KEY)
    names = {*_LOWER, *_LOWER_CUDA_ONLY, *_FLOAT32_CUDA, *_FLOAT32_CPU, *_PROMOTED_CUDA}
    for name in sorted(names):
        library.impl(name, _kernel(name))
    _library.extend([fallback, library])


def _kernel(name: str) -> Callable:
    base, _, overload = name.partition(".")
    op = getattr(getattr(torch.ops.aten, base), overload or "default")
    keys = torch._C.DispatchKeySet(getattr(torch._C.DispatchKey, KEY))

    def run(*args: Any, **kwargs: Any) -> Any:
        with torch._C._ExcludeDispatchKeyGuard(keys):
            if name in _lists["lower"]:
                to = torch.get_autocast_dtype("gpu")
            elif name in _lists["float32"]:
                to = torch.float32
            elif name in _lists["promoted"]:
                to = _widest(args)
            else:
                to = None
            if to is not None:
                args, kwargs = tree_map_only(Tensor, lambda t: _cast(t, to), (args, kwargs))
            return op(*args, **kwargs)

    return run


def _eligible(tensor: Tensor) -> bool:
    return tensor.device.type == "gpu" and tensor.dtype in (torch.float32, torch.bfloat16, torch.float16)


def _cast(tensor: Tensor, to: torch.dtype) -> Tensor:
    """As autocast does: casts of float32 leaves that need a gradient are kept until the outermost block ends.

    In inference mode none is.
    """
    if not _eligible(tensor) or tensor.dtype == to:
        return tensor
    kept = tensor.dtype == torch.float32 and to != torch.float32 and tensor.requires_grad and tensor.is_leaf
    if not kept or not torch.is_autocast_cache_enabled() or torch.is_inference_mode_enabled():
        return tensor.to(to)
    if id(tensor) not in _casts:
        _casts[id(tensor)] = tensor, tensor.to(to)
    return _casts[id(tensor)][1]


def _widest(args: tuple) -> torch.dtype | None:
    found = [t.dtype for t in torch.utils._pytree.tree_leaves(args) if isinstance(t, Tensor) and _eligible(t)]
    return torch.float32 if torch.float32 in found else (found[0] if found else None)
