"""Memory, traffic and FLOPs of a computation on the fake device, operation by operation."""

import contextlib
import weakref
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn

from peftuq.adapters.peft_lora import trainable
from peftuq.models.recompute import dropout
from peftuq.planning.cards import GIB
from peftuq.planning.rehearsal import costs
from peftuq.planning.rehearsal.device import DeviceTensor, FakeDevice, Kernels, device, leaves, on_device
from peftuq.planning.rehearsal.work import Work

BLOCK = 512  # bytes: CUDA's allocator rounds every tensor up to a multiple
CATEGORIES = ("weights", "adapter and optimiser", "kept activations", "transient")

_ADAM = {torch.ops.aten._fused_adamw_, torch.ops.aten._fused_adam_}


def _stateless(device: torch.device, seed: int) -> None:
    """In place of a generator, which no device without hardware has: what is drawn has no values here."""


@dataclass(slots=True)
class Held:
    """Memory of one storage, from one event to another; `forward`: made outside a backward pass."""

    size: int
    born: int
    forward: bool
    category: str | None = None
    died: int | None = None


class Tracer:
    """A machine for programs to run on, whose device has no hardware; follows every storage and operation on it."""

    def __init__(self, kernels: Kernels = "cuda", memory: float = 80 * GIB):
        self.device = device()
        self._fake = FakeDevice(kernels, int(memory), self._observe)
        self._block = BLOCK if kernels == "cuda" else 1
        self._live: dict[int, Held] = {}
        self._all: list[Held] = []
        self._now = 0
        self._turns: list[int] = []  # events at which a backward pass begins
        self._back = False
        self._operations: list[tuple[str, float, float]] = []
        self._kernels = 0
        self._modules: list[str] = []
        self.trainable = 0  # parameters of the models that were placed

    # -- as a machine for programs -------------------------------------------------------------------------

    def place(self, model: nn.Module) -> None:
        """Move a model to the device in place, and count its parameters as what they are."""
        on_device(model)
        model.to = lambda *_: model  # it is there: torch would swap parameters for themselves, which have references
        adapter = trainable(model)
        self.trainable += sum(parameter.numel() for parameter in adapter.values())
        for name, tensor in (*model.named_parameters(), *model.named_buffers()):
            self.keep([tensor], CATEGORIES[1] if name in adapter else CATEGORIES[0])

    @contextlib.contextmanager
    def running(self, model: nn.Module | None = None) -> Iterator[None]:
        """Follow what happens inside; `model` names its modules in errors."""
        handles = [] if model is None else self._follow(model)
        try:
            with self._fake.running(), mock.patch.object(dropout, "generator", _stateless):
                yield
        finally:
            for handle in handles:
                handle.remove()

    @contextlib.contextmanager
    def measuring(self) -> Iterator[list[Work]]:
        """Fills the list with the one `Work` done inside."""
        found: list[Work] = []
        first, kernels, reads = len(self._operations), self._kernels, self._fake.reads
        yield found
        operations = self._operations[first:]
        flops, moved = sum(op[1] for op in operations), sum(op[2] for op in operations)
        found.append(Work(flops, moved, self._kernels - kernels, self._fake.reads - reads, operations))

    def where(self) -> str:
        """The module whose forward pass runs; after an error, the one that it ended."""
        name = self._modules[-1] if self._modules else ""
        return f"module {name}" if name else "outside any module"

    def keep(self, tensors: Iterable[Tensor], category: str) -> None:
        """Count tensors as weights, or as adapter and optimiser, whenever they were made."""
        for tensor in tensors:
            self._see(tensor).category = category

    def peak(self) -> dict[str, int]:
        """Bytes at the peak by category; their sum is the peak."""
        changes = sorted(
            [(held.born, held.size) for held in self._all]
            + [(held.died, -held.size) for held in self._all if held.died is not None]
        )
        now = most = 0
        when = 0
        for event, change in changes:
            now += change
            if now > most:
                most, when = now, event
        found = dict.fromkeys(CATEGORIES, 0)
        for held in self._all:
            if held.born <= when and (held.died is None or held.died > when):
                found[self._category(held)] += held.size
        return found

    # -- following -------------------------------------------------------------------------------------------

    def _category(self, held: Held) -> str:
        if held.category is not None:
            return held.category
        end = held.died or self._now + 1
        kept = held.forward and any(held.born < turn < end for turn in self._turns)
        return "kept activations" if kept else "transient"

    def _follow(self, model: nn.Module) -> list[Any]:
        names = {module: name for name, module in model.named_modules()}
        enter = nn.modules.module.register_module_forward_pre_hook(
            lambda module, args: self._modules.append(names.get(module) or type(module).__name__)
        )
        leave = nn.modules.module.register_module_forward_hook(lambda *_: self._leave())
        return [enter, leave]

    def _leave(self) -> None:
        self._modules.pop()

    def _see(self, tensor: Tensor) -> Held:
        storage = tensor.shape_only.untyped_storage()
        key = storage._cdata
        held = self._live.get(key)
        if held is None:
            self._now += 1
            size = -(-storage.nbytes() // self._block) * self._block
            held = self._live[key] = Held(size, self._now, not self._back)
            self._all.append(held)
            weakref.finalize(storage, self._gone, key)
        return held

    def _gone(self, key: int) -> None:
        self._now += 1
        self._live.pop(key).died = self._now

    def _observe(self, func: Any, args: tuple, kwargs: dict, out: Any) -> None:
        self._turn()
        outputs = _on_device(leaves((out,) if isinstance(out, Tensor) else out or (), {})[0])
        for tensor in outputs:
            self._see(tensor)
        if not costs.launches(func):
            return
        inputs = _on_device(leaves(args, kwargs)[0])
        if func.overloadpacket in _ADAM:
            self.keep(inputs, CATEGORIES[1])
        self._kernels += 1
        operation = costs.computes_in(inputs, outputs), costs.flops(func, args, kwargs, out)
        self._operations.append((*operation, costs.moved(func, inputs, outputs)))

    def _turn(self) -> None:
        """Notice where a backward pass begins and ends: its operations run for a node of the graph."""
        back = torch._C._current_autograd_node() is not None
        if back and not self._back:
            self._now += 1
            self._turns.append(self._now)
        self._back = back


def _on_device(tensors: list[Tensor]) -> list[DeviceTensor]:
    return [tensor for tensor in tensors if isinstance(tensor, DeviceTensor)]
