"""Environment variables that every job of the workflow finds."""

import os
import shlex
import sys
from pathlib import Path

from peftuq import integrity
from peftuq.config import precision
from peftuq.config.schema import Config
from peftuq.errors import UserError


def check_interpreter(interpreter: str) -> None:
    """Raises `UserError` for a path that the command of a cluster's job, where it stands unquoted, would break at."""
    ascii_only = interpreter.encode("ascii", "ignore").decode()  # a shell reads other letters as they are
    if shlex.quote(ascii_only) != ascii_only:
        raise UserError(f"{interpreter}: jobs of a cluster cannot be started with an interpreter below a folder with "
                        "spaces, quotes or braces in its name: put the virtual environment elsewhere")  # fmt: skip


def export_environment(root: Path, config: Config, planning: bool) -> None:
    """Let jobs run this interpreter and the library and scripts of the checkout `root`, without the hub.

    Fetching rules alone switch the hub on again, for themselves. What jobs make is kept for reuse
    (`peftuq.jobs.store`). Where the run is planned (`planning`) the meaning of `precision: auto` is settled for all of
    its jobs.
    """
    os.environ |= {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(root / "src"),
        "PEFTUQ_SCRIPTS": str(root / "workflow" / "scripts"),  # whatever the working directory
        integrity.RESULTS: config.results,
        "PEFTUQ_STORE": f"{config.results}/.store",
        "PEFTUQ_DOWNLOADS": config.downloads,
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",  # of fixed size: only so does cuBLAS give the same bits twice
        "PYTHONHASHSEED": "0",  # PEFT writes sets: the same adapter is to be the same bytes
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
    if planning:
        os.environ[precision.VARIABLE] = precision.native()


def software(root: Path, name: str) -> str:
    """The file of a software environment. Snakemake formats its path: braces in the checkout's are doubled."""
    file = str(root / "envs" / f"{name}.yaml")
    return file.replace("{", "{{").replace("}", "}}")
