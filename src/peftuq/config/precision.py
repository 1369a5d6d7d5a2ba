"""Meaning of `precision: auto`, found without importing torch: planning has to start fast.

It is decided once, where the workflow is planned, and stands in every job's specification. Jobs on other machines are
given it through the environment, since their own processors may differ.
"""

import ctypes
import os
from pathlib import Path
from typing import Literal, cast

Precision = Literal["bf16", "fp32"]
VARIABLE = "PEFTUQ_PRECISION"  # what `auto` means, for the jobs of a run
_MAJOR = 75  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR
_AMPERE = 8  # the first that multiplies bf16


def native() -> Precision:
    """bf16 if the planning machine multiplies it natively, on its GPU if it has one; else fp32."""
    resolved = os.environ.get(VARIABLE)
    if resolved in ("bf16", "fp32"):
        return cast(Precision, resolved)
    capability = _compute_capability()
    fast = _cpu_has_bf16() if capability is None else capability >= _AMPERE
    return "bf16" if fast else "fp32"


def _compute_capability() -> int | None:
    """The major compute capability of the first visible NVIDIA GPU; None without one."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return None
    device, found = ctypes.c_int(), ctypes.c_int()
    failed = (
        driver.cuInit(0)
        or driver.cuDeviceGet(ctypes.byref(device), 0)
        or driver.cuDeviceGetAttribute(ctypes.byref(found), _MAJOR, device)
    )
    return None if failed else found.value


def _cpu_has_bf16() -> bool:
    try:
        return "avx512_bf16" in Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
