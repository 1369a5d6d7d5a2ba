"""One job in several processes, one a GPU: how they are started, and which of them this is.

PyTorch's own launcher starts them. `accelerate launch` would wrap it, but takes a user's configuration file for its
defaults, and starts several processes on CPUs only through MPI.
"""

import os
import sys

GRACE = 90  # seconds to end a step and write a checkpoint in, between SIGTERM and SIGKILL
_RANK = "LOCAL_RANK"  # what the launcher sets, and Accelerate and PyTorch read
_PARENT = os.getppid()


def rank() -> int | None:
    """Number of this process among those that share the job, from 0; None: there is no other, and no launcher."""
    return int(os.environ[_RANK]) if _RANK in os.environ else None


def is_main() -> bool:
    """Whether this is the process that writes what the job makes."""
    return not rank()


def abandoned() -> bool:
    """Whether the launcher was killed: what this process makes may by now be another attempt's to make."""
    return rank() is not None and os.getppid() != _PARENT


def launch(processes: int) -> None:
    """Become the launcher of `processes` that run this script again with its arguments; in each of these do nothing.

    The launcher passes signals on. It ends, with a status other than 0, as soon as one of them fails, and all with it.
    """
    if processes == 1 or rank() is not None:
        return
    options = ["--standalone", "--local-addr=127.0.0.1", f"--nproc-per-node={processes}", "--max-restarts=0"]
    options += [f"--shutdown-timeout={GRACE}", "--signals-to-handle=SIGTERM,SIGINT,SIGHUP,SIGUSR1"]
    # Without "--" the launcher takes the script's arguments for abbreviations of its own.
    os.execv(sys.executable, [sys.executable, "-m", "torch.distributed.run", *options, "--", *sys.argv])
