"""An accelerator without hardware: tensors on it have shapes, types and a device, and no data.

It is PyTorch's PrivateUse1 device, registered from Python: autograd, autocast and random states treat it as they treat
any accelerator, and a tensor left on the host is refused. What runs on it are the kernels of CUDA or, to compare
with a profiler, of the CPU: attention, dropout and autocast take the path that they take there. Tensors on the host are
real. Values read from the device are made up: 1, or True.
"""

import contextlib
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, Literal

import torch
from torch import Tensor
from torch.utils import backend_registration
from torch.utils._python_dispatch import TorchDispatchMode

from peftuq.planning.rehearsal import autocast, refusals
from peftuq.planning.rehearsal.attention import attention

NAME = "gpu"
Kernels = Literal["cuda", "cpu"]
Observer = Callable[[Any, tuple, dict, Any], None]

aten = torch.ops.aten
_READS = {aten._local_scalar_dense.default, aten.is_nonzero.default, aten.equal.default}
_INDEXED = {aten.index.Tensor, aten.index_put.default, aten.index_put_.default}
_CHECKED = {aten.linalg_eigh.default, aten._linalg_eigh.default, aten._linalg_svd.default}  # wait for an error code


class _Module:
    """The interface that PyTorch asks of an accelerator's module, `torch.gpu`."""

    def is_initialized(self) -> bool:
        return True

    def is_available(self) -> bool:
        return True

    def current_device(self) -> int:
        return 0

    def device_count(self) -> int:
        return 1

    def device(self, index: int) -> contextlib.AbstractContextManager:
        return contextlib.nullcontext()

    def _is_in_bad_fork(self) -> bool:
        return False

    def manual_seed_all(self, seed: int) -> None:
        pass

    def get_rng_state(self, device: Any = None) -> Tensor:
        return torch.zeros(16, dtype=torch.uint8)

    def set_rng_state(self, state: Tensor, device: Any = None) -> None:
        pass

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16, torch.float16]

    def synchronize(self, device: Any = None) -> None:
        _current[-1].reads += 1

    def mem_get_info(self, device: Any = None) -> tuple[int, int]:
        return _current[-1].memory, _current[-1].memory


@cache
def device() -> torch.device:
    """The device, registered when it is first used. A process has one."""
    backend_registration._setup_privateuseone_for_python_backend(NAME, _Module())
    autocast.register()
    library = torch.library.Library("aten", "IMPL")
    for key in ("AutogradPrivateUse1", "PrivateUse1"):
        library.impl("scaled_dot_product_attention", _attention, key)
        library.impl("dropout", _dropout, key)
    # Known to autograd as one operation, as on CUDA and the CPU, not taken apart as on devices without a kernel for it.
    library.impl("silu_backward", _never, "PrivateUse1")
    _kept.append(library)
    return torch.device(NAME, 0)


_kept: list[torch.library.Library] = []  # a library's kernels go when it does
_current: list["FakeDevice"] = []


def _never(*args: Any) -> Tensor:
    raise RuntimeError("operations on the device are taken before they reach a kernel")


def _attention(*args: Any, **kwargs: Any) -> Tensor:
    return attention(_current[-1].kernels, *args, **kwargs)


def _dropout(x: Tensor, p: float, train: bool) -> Tensor:
    if not train or p == 0:
        return x
    if _current[-1].kernels == "cuda":
        return torch.native_dropout(x, p, True)[0]
    return x * torch.empty_like(x).bernoulli_(1 - p).div_(1 - p)


class DeviceTensor(Tensor):
    """A tensor on the device: `shape_only` has its shape, strides and type, and a storage of its size, on `meta`."""

    shape_only: Tensor

    @staticmethod
    def __new__(cls, shape_only: Tensor) -> "DeviceTensor":
        made = Tensor._make_subclass(cls, shape_only, False, dispatch_device=True, device_for_backend_keys=device())
        made.shape_only = shape_only
        return made

    def tolist(self) -> list:
        return self.cpu().tolist()

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        if func is torch.ops.prim.device.default:
            return device()
        raise RuntimeError(f"{func}: the device does not run here")


class FakeDevice(TorchDispatchMode):
    """Runs what is computed on `device()`; `observer(op, args, kwargs, result)` is called after each operation on it.

    `memory`: bytes that it reports as free. `reads` counts what makes the host wait for the device. Raises
    `refusals.Refused` for what hardware would refuse.
    """

    def __init__(self, kernels: Kernels, memory: int, observer: Observer):
        super().__init__()
        device()
        self.kernels, self.memory, self.observer = kernels, memory, observer
        self.reads = 0
        self._known: dict[Any, Any] = {}  # operation and operands' shapes → results' shapes: blocks of a model repeat

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Inside, the device can be computed on."""
        _current.append(self)
        before = torch._C._only_lift_cpu_tensors()
        torch._C._set_only_lift_cpu_tensors(True)  # torch.tensor(…, device=…): made on the host, then copied
        try:
            with autocast.like(self.kernels), self:
                yield
        finally:
            torch._C._set_only_lift_cpu_tensors(before)
            _current.pop()

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        if func is torch.ops.prim.device.default:
            return device() if isinstance(args[0], DeviceTensor) else args[0].device
        kwargs = kwargs or {}
        tensors, named = leaves(args, kwargs)
        if not named and not any(isinstance(tensor, DeviceTensor) for tensor in tensors):
            return func(*args, **kwargs)
        if func is aten.scaled_dot_product_attention.default:
            with self:
                return _attention(*args, **kwargs)
        if _composite(func):
            with self:
                return func.decompose(*args, **kwargs)
        read = self._read(func, args, kwargs)
        if read is not None:
            return read
        if func in _INDEXED:
            args = self._with_positions(args)
        if func in _CHECKED and self.kernels == "cuda":
            self.reads += 1
        key = _key((func, args, tuple(kwargs.items())))
        if key in self._known:
            out = _made(self._known[key])
        else:
            refusals.check(func, tensors, self.kernels)
            out = self._run(func, args, kwargs)
            if _makes_its_own(func, out, tensors):
                self._known[key] = _described(out)
        self.observer(func, args, kwargs, out)
        return out

    def _run(self, func: Any, args: tuple, kwargs: dict) -> Any:
        known: dict[int, DeviceTensor] = {}
        bare = [_unwrapped(value, known) for value in args]
        named = {name: _unwrapped(value, known) for name, value in kwargs.items()}
        try:
            out = func(*bare, **named)
        except Exception as error:
            raise refusals.of(error, func) from error
        return _wrapped(out, known)

    def _with_positions(self, args: tuple) -> tuple:
        """An indexing with its masks replaced by the positions they select: all, the most there can be."""
        x, indices, *rest = args
        found: list[Tensor | None] = []
        for index in indices:
            if index is None or index.dtype not in (torch.bool, torch.uint8):
                found.append(index)
                continue
            self.reads += 1
            selected = torch.empty(index.numel(), index.dim(), dtype=torch.long, device="meta")
            self.observer(aten.nonzero.default, (index,), {}, DeviceTensor(selected))
            found += [DeviceTensor(column) for column in selected.unbind(1)]
        return (x, found, *rest)

    def _read(self, func: Any, args: tuple, kwargs: dict) -> Any:
        """The value that the host gets of a tensor on the device; None for an operation that stays on it."""
        if func in _READS:
            self.reads += 1
            return _made_up(args[0]) if func is aten._local_scalar_dense.default else True
        target = kwargs.get("device")
        if func is aten._to_copy.default and target is not None and torch.device(target).type == "cpu":
            self.reads += 0 if kwargs.get("non_blocking") else 1
            return torch.ones(args[0].shape, dtype=kwargs.get("dtype") or args[0].dtype)
        if func is aten.copy_.default and args[0].device.type == "cpu":
            self.reads += 0 if len(args) > 2 and args[2] else 1
            return args[0].fill_(1)
        return None


@cache
def _composite(func: Any) -> bool:
    """Whether an operation is made of others. Under inference mode autograd does not take it apart before."""
    name, has = func.name(), torch._C._dispatch_has_kernel_for_dispatch_key
    return has(name, "CompositeImplicitAutograd") and not has(name, "Meta")


def _is_device(leaf: Any) -> bool:
    return isinstance(leaf, torch.device) and leaf.type == NAME


def leaves(args: tuple, kwargs: dict) -> tuple[list[Tensor], bool]:
    """The tensors among an operation's arguments, and whether they name the device."""
    found: list[Tensor] = []
    named = False
    waiting = [*args, *kwargs.values()]
    for value in waiting:
        if isinstance(value, Tensor):
            found.append(value)
        elif isinstance(value, list | tuple):
            found += [item for item in value if isinstance(item, Tensor)]
        elif _is_device(value):
            named = True
    return found, named


def _unwrapped(value: Any, known: dict[int, DeviceTensor]) -> Any:
    if isinstance(value, DeviceTensor):
        known[id(value.shape_only)] = value
        return value.shape_only
    if isinstance(value, Tensor):
        return torch.empty(value.shape, dtype=value.dtype, device="meta")
    if isinstance(value, list | tuple):
        return [_unwrapped(item, known) for item in value]
    return torch.device("meta") if _is_device(value) else value


def _wrapped(value: Any, known: dict[int, DeviceTensor]) -> Any:
    if isinstance(value, Tensor):
        return known[id(value)] if id(value) in known else DeviceTensor(value)
    return type(value)(_wrapped(item, known) for item in value) if isinstance(value, list | tuple) else value


def _key(value: Any) -> Any:
    """The part of a call that decides the shapes and types of its results."""
    if isinstance(value, Tensor):
        return value.shape, value.stride(), value.dtype, value.device.type
    if isinstance(value, list | tuple):
        return tuple(map(_key, value))
    return type(value), value


def _makes_its_own(func: Any, out: Any, tensors: list[Tensor]) -> bool:
    """Whether an operation writes nothing in place and returns new memory."""
    if func._schema.is_mutable or func.is_view:
        return False
    taken = {t.shape_only.untyped_storage()._cdata for t in tensors if isinstance(t, DeviceTensor)}
    made = leaves((out,) if isinstance(out, Tensor) else out, {})[0] if isinstance(out, Tensor | list | tuple) else []
    storages = [t.shape_only.untyped_storage() for t in made if isinstance(t, DeviceTensor)]
    whole = all(s.nbytes() == t.numel() * t.element_size() for s, t in zip(storages, made, strict=True))
    return whole and not taken.intersection(s._cdata for s in storages)


def _described(value: Any) -> Any:
    if isinstance(value, Tensor):
        return "tensor", value.shape, value.stride(), value.dtype
    if isinstance(value, list | tuple):
        return type(value), [_described(item) for item in value]
    return "other", value


def _made(described: Any) -> Any:
    kind, *rest = described
    if kind == "tensor":
        shape, stride, dtype = rest
        return DeviceTensor(torch.empty_strided(shape, stride, dtype=dtype, device="meta"))
    return rest[0] if kind == "other" else kind([_made(item) for item in rest[0]])


def _made_up(x: Tensor) -> bool | int | float:
    if x.dtype == torch.bool:
        return True
    return 1.0 if x.dtype.is_floating_point else 1


def on_device(module: torch.nn.Module) -> None:
    """Give a module's parameters and buffers, which may be without storage, to the device in place."""
    done: dict[int, Tensor] = {}

    def moved(tensor: Tensor) -> Tensor:
        if id(tensor) not in done:
            size = tensor.shape, tensor.stride()
            there: Tensor = DeviceTensor(torch.empty_strided(*size, dtype=tensor.dtype, device="meta"))
            if isinstance(tensor, torch.nn.Parameter):
                there._is_param = True
                there.requires_grad_(tensor.requires_grad)
            done[id(tensor)] = there
        return done[id(tensor)]

    for part in module.modules():
        for tensors in (part._parameters, part._buffers):
            for name, tensor in tensors.items():
                if tensor is not None:
                    tensors[name] = moved(tensor)
