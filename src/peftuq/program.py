"""What every script of the workflow has in common: its arguments, its log, how it ends."""

import argparse
import gc
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from peftuq import launch
from peftuq.errors import UserError
from peftuq.progress import Log

_NOT_READ = ("spec", "checkpoint")  # arguments whose files, if any, decide nothing of what a job makes
_keep: Callable[[], None] | None = None  # what is left to do when this process's job is done


def arguments(purpose: str, names: Sequence[str] = (), lists: Sequence[str] = ()) -> argparse.Namespace:
    """Parse `--<name> VALUE` and `--<list> VALUE …`, beside `--log` and `--output …`; `--spec` is read as JSON.

    The number of threads of every numerical library is set before any of them is imported. What an earlier attempt
    left when it was killed is removed, and SIGTERM is made to clean up. A job that is told the digest of its `--code`
    ends here if an earlier one has made the same of inputs with the same content. Of all this, processes that share a
    job do nothing: it was done when they were launched.
    """
    parser = argparse.ArgumentParser(description=purpose)
    for name in names:
        parser.add_argument(f"--{name}", required=True, type=json.loads if name == "spec" else str)
    for name in (*lists, "output"):
        parser.add_argument(f"--{name}", nargs="*", required=True)
    parser.add_argument("--code")
    parser.add_argument("--log")
    parser.add_argument("--threads", type=int, default=1)
    parsed = parser.parse_args()
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[variable] = str(parsed.threads)

    from peftuq import files

    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    if launch.rank() is None:
        for output in parsed.output:
            files.sweep(output)
    if parsed.code is not None and "PEFTUQ_STORE" in os.environ:
        read = {name: getattr(parsed, name) for name in (*names, *lists) if name not in _NOT_READ}
        _reuse(Path(os.environ["PEFTUQ_STORE"]), parsed, read)
    gc.disable()  # what is imported stays: to look for garbage in it takes a sixth of a job's start
    return parsed


def _reuse(folder: Path, job: argparse.Namespace, read: dict[str, str | list[str]]) -> None:
    """End the process if the job's outputs could be brought back; else see to it that they can be next time."""
    global _keep
    if not launch.is_main():
        return
    from peftuq import store

    inputs = {name: [value] if isinstance(value, str) else value for name, value in read.items()}
    facts = {"script": Path(sys.argv[0]).name, "code": job.code, "spec": getattr(job, "spec", None)}
    key, kept = store.key(facts, inputs, job.output), store.Store(folder)
    try:
        reused = launch.rank() is None and kept.restore(key, job.output)
    except OSError:  # a full disk, or a store that is being removed: the job says so itself, or can do without
        reused = False
    if reused:
        Log(job.log, job.output[0])("unchanged inputs: reused")
        sys.exit(0)
    _keep = partial(kept.keep, key, job.output)


def run(main: Callable[[Log], None], log: Log) -> None:
    """Run a script's `main`: a user's mistake ends in one line, anything else also leaves its traceback in the log.

    Processes that share a job find the same mistakes, and one of them says so.
    """
    gc.freeze()
    gc.enable()
    try:
        main(log)
    except UserError as error:
        log(f"error: {error}")
        sys.exit(2)
    except OSError as error:
        # A full or read-only disk is the user's to mend; outputs that exist are whole (artifacts.py).
        log.failure(f"error: {error.strerror or error}" + (f": {error.filename}" if error.filename else ""))
        sys.exit(2)
    except Exception as error:
        full = type(error).__name__ == "SafetensorError" and "I/O error" in str(error)  # its writer raises no OSError
        log.failure(f"error: {error}" if full else traceback.format_exc())
        sys.exit(2 if full else 1)
    try:
        if _keep is not None:
            _keep()
    except OSError as error:
        log(f"done, but not kept for reuse: {error}")
