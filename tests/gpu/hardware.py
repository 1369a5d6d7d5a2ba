"""A CUDA device to test on, and a processor in its place where the tests themselves are tested."""

import contextlib
import gc
import itertools
import re
import time
import warnings
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from peftuq.planning.cards import CARDS, GIB, Card

SPREAD = 0.02  # of random weights, as these models' own initialisers have it


@dataclass
class Measured:
    """The measured part of a program: `seconds` on the device, and how often the host waited for it."""

    seconds: float = 0.0
    waits: int = 0


class Processor:
    """A processor in place of a device: memory is the profiler's, and waiting is not noticed."""

    device = torch.device("cpu")
    name = "cpu"
    memory = 0
    count = 1
    apart = 0.1  # the most by which measured and rehearsed peaks may differ: of a tiny model one tensor is a share
    counting = False  # measure the host's waits instead of the time, which counting changes

    def __init__(self) -> None:
        self._before = self._most = 0

    def card(self) -> Card | None:
        return None

    def free(self) -> int:
        """Bytes for a program, once what earlier ones left is gone; memory is counted from here on."""
        gc.collect()
        self._before = 0
        return GIB

    def place(self, model: nn.Module) -> None:
        """Give a model without storage its own on the device, and random weights."""
        self._before = materialise(model, self.device)

    @contextlib.contextmanager
    def running(self, model: nn.Module | None = None) -> Iterator[None]:
        activities = [torch.profiler.ProfilerActivity.CPU]
        with torch.profiler.profile(activities=activities, profile_memory=True) as profiler:
            yield
        events = profiler.profiler.kineto_results.events()
        changes = sorted((event.start_ns(), event.nbytes()) for event in events if event.name() == "[memory]")
        self._most = self._before + max(itertools.accumulate((change for _, change in changes), initial=0))

    @contextlib.contextmanager
    def measuring(self) -> Iterator[list[Measured]]:
        """Fills the list with what was measured inside."""
        found: list[Measured] = []
        started = time.perf_counter()
        yield found
        found.append(Measured(time.perf_counter() - started))

    def keep(self, tensors: Iterable[Tensor], category: str) -> None:
        """A device does not tell what memory is for."""

    def peak(self) -> int:
        """Most bytes of tensors at once while the last program ran."""
        return self._most

    def never_waiting(self) -> AbstractContextManager[None]:
        """Inside, an operation that waits for the device raises."""
        return contextlib.nullcontext()

    def may_wait(self) -> AbstractContextManager[None]:
        """Inside, within `never_waiting`, it does not."""
        return contextlib.nullcontext()

    def only_flash_attention(self) -> AbstractContextManager[None]:
        """Inside, scaled dot product attention raises where the flash kernel cannot do it."""
        return sdpa_kernel([SDPBackend.FLASH_ATTENTION])


class Cuda(Processor):
    """The first visible CUDA device."""

    device = torch.device("cuda", 0)
    apart = 0.05

    def __init__(self) -> None:
        super().__init__()
        self.name = torch.cuda.get_device_name(self.device)
        self.memory = torch.cuda.get_device_properties(self.device).total_memory
        self.count = torch.cuda.device_count()

    def card(self) -> Card | None:
        return card(self.name, self.memory)

    def free(self) -> int:
        gc.collect()
        torch.cuda.empty_cache()
        self._before = torch.cuda.memory_allocated()
        return torch.cuda.mem_get_info()[0]

    def place(self, model: nn.Module) -> None:
        materialise(model, self.device)

    @contextlib.contextmanager
    def running(self, model: nn.Module | None = None) -> Iterator[None]:
        torch.cuda.reset_peak_memory_stats()
        yield
        torch.cuda.synchronize()
        self._most = torch.cuda.max_memory_allocated() - self._before

    @contextlib.contextmanager
    def measuring(self) -> Iterator[list[Measured]]:
        found: list[Measured] = []
        if self.counting:
            with warnings.catch_warnings(record=True) as said, _sync_debug("warn"):
                warnings.simplefilter("always")
                yield found
            found.append(Measured(waits=sum("synchronizing" in str(warning.message) for warning in said)))
            return
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda.synchronize()
        start.record()
        yield found
        end.record()
        torch.cuda.synchronize()
        found.append(Measured(start.elapsed_time(end) / 1000))

    def never_waiting(self) -> AbstractContextManager[None]:
        return _sync_debug("error")

    def may_wait(self) -> AbstractContextManager[None]:
        return _sync_debug("default")


@contextlib.contextmanager
def _sync_debug(mode: str) -> Iterator[None]:
    before = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode(mode)
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode(before)


def materialise(model: nn.Module, device: torch.device) -> int:
    """Replace a model's tensors, which may be without storage, by random ones on the device; return their bytes."""
    generator, made = torch.Generator(device).manual_seed(0), {}
    for name, part in model.named_modules():
        for tensors in (part._parameters, part._buffers):
            for key, tensor in tensors.items():
                if tensor is None:
                    continue
                if id(tensor) not in made:  # tied weights stay one
                    data = torch.empty(tensor.shape, dtype=tensor.dtype, device=device)
                    _fill(f"{name}.{key}", data, generator)
                    trained = isinstance(tensor, nn.Parameter)
                    made[id(tensor)] = tensor, nn.Parameter(data, tensor.requires_grad) if trained else data
                tensors[key] = made[id(tensor)][1]
    return sum(tensor.nbytes for _, tensor in made.values())


def _fill(name: str, tensor: Tensor, generator: torch.Generator) -> None:
    """Values with which a model computes finite numbers; `name` tells tables of indices from each other."""
    if not tensor.dtype.is_floating_point:
        tensor.copy_(torch.arange(tensor.shape[-1], device=tensor.device))
        if "token_type" in name:
            tensor.zero_()
    elif tensor.dim() > 1:
        tensor.normal_(0, SPREAD, generator=generator)
    else:
        tensor.fill_(0.0 if name.endswith("bias") else 1.0)


def card(name: str, memory: int) -> Card | None:
    """The card of the rehearsal that a device is: by its name and, of two of that name, by its bytes; None: none."""
    families = {re.sub(r"-\d+$", "", known) for known in CARDS}
    words = re.sub(r"RTX (\d)", r"RTX\1", name).lower().replace("-", " ").split()
    family = next((family for family in families if family in words), None)
    found = [known for known in CARDS.values() if family is not None and known.name.startswith(family)]
    return min(found, key=lambda known: abs(known.memory - memory), default=None)


def gib(size: float) -> float:
    return size / GIB
