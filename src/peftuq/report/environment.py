"""The machine and the software that a report was made with; nothing that names the machine or its paths."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = (
    "torch",
    "transformers",
    "peft",
    "accelerate",
    "scikit-learn",
    "numpy",
    "scipy",
    "pyarrow",
    "snakemake",
    "matplotlib",
    "typst",
)


def software() -> dict[str, str]:
    """Package → version, of those that are installed; Python's own first."""
    found = {"Python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def hardware() -> dict[str, str]:
    """Processor, cores, memory and graphics processors of this machine, as far as they are known."""
    found = {"Processor": _processor(), "Logical cores": str(os.cpu_count())}
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        found["Memory"] = f"{memory / 2**30:.0f} GiB"
    return found | {"Graphics processors": _graphics(), "Operating system": f"{platform.system()} {platform.machine()}"}


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _graphics() -> str:
    """Names from the driver's own folder: no library to load, and none needed."""
    files = sorted(Path("/proc/driver/nvidia/gpus").glob("*/information"))
    lines = [line for file in files for line in file.read_text().splitlines()]
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("Model")]
    return ", ".join(f"{names.count(name)} × {name}" for name in dict.fromkeys(names)) or "none"
