"""What every script of the workflow has in common: its arguments, its log, how it ends."""

import argparse
import json
import os
import sys
import traceback
from collections.abc import Callable, Sequence

from peftuq.errors import UserError
from peftuq.progress import Log


def arguments(purpose: str, names: Sequence[str] = (), lists: Sequence[str] = ()) -> argparse.Namespace:
    """Parse `--<name> VALUE` and `--<list> VALUE …`, beside `--log` and `--output …`; `--spec` is read as JSON.

    The number of threads of every numerical library is set before any of them is imported.
    """
    parser = argparse.ArgumentParser(description=purpose)
    for name in names:
        parser.add_argument(f"--{name}", required=True, type=json.loads if name == "spec" else str)
    for name in (*lists, "output"):
        parser.add_argument(f"--{name}", nargs="*", required=True)
    parser.add_argument("--log")
    parser.add_argument("--threads", type=int, default=1)
    parsed = parser.parse_args()
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[variable] = str(parsed.threads)
    return parsed


def run(main: Callable[[Log], None], log: Log) -> None:
    """Run a script's `main`: a user's mistake ends in one line, anything else also leaves its traceback in the log."""
    try:
        main(log)
    except UserError as error:
        log(f"error: {error}")
        sys.exit(2)
    except OSError as error:
        # A full or read-only disk is the user's to mend; outputs that exist are whole (artifacts.py).
        log(f"error: {error.strerror or error}" + (f": {error.filename}" if error.filename else ""))
        sys.exit(2)
    except Exception:
        log(traceback.format_exc())
        sys.exit(1)
