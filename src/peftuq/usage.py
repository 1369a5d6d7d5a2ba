"""Time and memory that a job took: measured, and so in a file apart from what it made."""

import resource
import sys
import time
from pathlib import Path
from typing import Any

_STATUS = Path("/proc/self/status")


def measured(examples: int, started: float) -> dict[str, Any]:
    """Number of `examples`, `seconds` since `started` (time.monotonic), the `device`, and `peak_mib`, the peak memory.

    The memory, in MiB, is what torch had allocated on a GPU; without one, what the process had resident.
    """
    return {"examples": examples, "seconds": time.monotonic() - started, "device": device(), "peak_mib": peak_mib()}


def device() -> str:
    """The device that this process has computed on: cuda or cpu."""
    return "cpu" if _cuda() is None else "cuda"


def peak_mib() -> float:
    """Most memory that this process has had so far, in MiB: on its GPU if it has used one."""
    cuda = _cuda()
    return _resident() if cuda is None else cuda.max_memory_allocated() / 2**20


def _cuda() -> Any:
    """torch's module of a GPU that is in use; None without one, or where nothing has imported torch."""
    torch = sys.modules.get("torch")
    return torch.cuda if torch is not None and torch.cuda.is_initialized() else None


def _resident() -> float:
    # On Linux getrusage's peak is at least that of the process which started this one.
    if _STATUS.is_file():
        line = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 2**10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10
