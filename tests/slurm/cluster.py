"""A real Slurm on this machine: a controller and a few nodes of fake GPUs; no systemd, cgroups or database.

Memory is enforced by Slurm's own accounting of processes, so a job that asks for too little is killed as on a cluster.
"""

import contextlib
import os
import shutil
import socket
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol", "srun")
NODES, SHARDS = 5, 4  # nodes with one GPU, which is one device or four shards
PAIR = f"n{NODES + 1}"  # a node with two GPUs, which takes jobs that the others have no place for
KILL_WAIT = 5  # seconds from SIGTERM to SIGKILL
CONTROLLER_PORT = 26817
ETC = Path("/etc/slurm")  # what jobs read: the plug-in drops SLURM_CONF from their environment
FILES = ("slurm.conf", "gres.conf")
KEY, SOCKET = Path("/etc/munge/munge.key"), Path("/run/munge/munge.socket.2")
CONF = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/pgid
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SlurmdParameters=config_overrides
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=0
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
ReturnToService=2
MinJobAge=3600
KillWait={kill_wait}
GresTypes=gpu,shard
NodeName=n[1-{nodes}] NodeHostname={host} NodeAddr=127.0.0.1 Port=[{first}-{last}] CPUs=64 RealMemory=500000 \
Gres=gpu:a100:1,shard:{shards} State=UNKNOWN
NodeName={pair} NodeHostname={host} NodeAddr=127.0.0.1 Port={after} CPUs=64 RealMemory=500000 \
Gres=gpu:a100:2 Weight=10 State=UNKNOWN
PartitionName=gpu Nodes=ALL Default=YES MaxTime=2-00:00:00 PriorityTier=1
PartitionName=cpu Nodes=ALL MaxTime=1-00:00:00 PriorityTier=1
PartitionName=urgent Nodes=ALL MaxTime=1:00:00 PriorityTier=9
"""


def missing() -> list[str]:
    """Programs that this machine lacks to start a cluster."""
    lacks = [name for name in PROGRAMS if shutil.which(name) is None]
    lacks += ["root"] if os.geteuid() else []
    theirs = [name for name in FILES if (ETC / name).exists() and not (ETC / name).is_symlink()]
    return [*lacks, *(f"a machine without an {ETC / name} of its own" for name in theirs)]


@contextlib.contextmanager
def started(folder: Path) -> Iterator[None]:
    """Start Slurm with its files in `folder`, and links to its configuration where all of Slurm looks for it."""
    _configure(folder)
    with contextlib.ExitStack() as undo:
        for name in FILES:
            _link(folder / name, ETC / name)
            undo.callback((ETC / name).unlink)
        _start_munge(folder, undo)
        undo.callback(_stop, folder)
        subprocess.run(["slurmctld", "-c"], check=True)
        for node in names():
            (folder / "spool" / node).mkdir(parents=True)
            subprocess.run(["slurmd", "-N", node], check=True)
        wait(
            "the nodes to be idle", lambda: words("sinfo", "-hN", "-p", "cpu", "-t", "idle", "-o", "%N") == names(), 180
        )
        yield


def names() -> list[str]:
    return [*(f"n{number + 1}" for number in range(NODES)), PAIR]


def _configure(folder: Path) -> None:
    (folder / "state").mkdir(parents=True)
    host = socket.gethostname().split(".")[0]
    ports = {
        "port": CONTROLLER_PORT,
        "first": CONTROLLER_PORT + 1,
        "last": CONTROLLER_PORT + NODES,
        "after": CONTROLLER_PORT + NODES + 1,
    }
    sizes = {"nodes": NODES, "pair": PAIR, "shards": SHARDS, "kill_wait": KILL_WAIT}
    (folder / "slurm.conf").write_text(CONF.format(host=host, folder=folder, **sizes, **ports))
    lines = []
    for node in names():
        # slurmd wants devices: twins of /dev/null.
        devices = [folder / "dev" / node / f"nvidia{number}" for number in range(2 if node == PAIR else 1)]
        devices[0].parent.mkdir(parents=True)
        for device in devices:
            os.mknod(device, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
            lines.append(f"NodeName={node} Name=gpu Type=a100 File={device}\n")
        if node != PAIR:
            lines.append(f"NodeName={node} Name=shard Count={SHARDS} File={devices[0]}\n")
    (folder / "gres.conf").write_text("".join(lines))


def _start_munge(folder: Path, undo: contextlib.ExitStack) -> None:
    """Slurm's authentication; one that runs already is used and left alone."""
    if SOCKET.exists() and subprocess.run(["munge", "-n"], capture_output=True).returncode == 0:
        return
    for path in (KEY.parent, SOCKET.parent):
        path.mkdir(parents=True, exist_ok=True)
        shutil.chown(path, "munge", "munge")
    SOCKET.parent.chmod(0o755)
    if not KEY.exists():
        KEY.write_bytes(os.urandom(1024))
        KEY.chmod(0o400)
        shutil.chown(KEY, "munge", "munge")
    daemon = subprocess.Popen(
        ["munged", "--foreground", "--force"], user="munge", group="munge", extra_groups=[], cwd="/",
        stdout=subprocess.DEVNULL, stderr=open(folder / "munged.log", "w"),
    )  # fmt: skip
    undo.callback(daemon.wait, 60)
    undo.callback(daemon.terminate)
    wait("munge to answer", lambda: subprocess.run(["munge", "-n"], capture_output=True).returncode == 0, 60)


def _stop(folder: Path) -> None:
    """End all jobs, then the daemons that were started here, by the process ids that they left."""
    with contextlib.suppress(TimeoutError):
        subprocess.run(["scancel", "--user=root"], capture_output=True, timeout=20)
        wait("the jobs to end", lambda: not words("squeue", "-h"), 60)
    pids = [int(file.read_text()) for file in sorted(folder.glob("*.pid"), reverse=True)]
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, 15)
    wait("the daemons to end", lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids), 60)


def _link(target: Path, link: Path) -> None:
    link.parent.mkdir(parents=True, exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(target)


def wait(what: str, done: Callable[[], object], seconds: float) -> None:
    """Poll until `done()`; `TimeoutError` names what was waited for."""
    end = time.monotonic() + seconds
    while not done():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {seconds:g} s for {what}")
        time.sleep(0.3)


def words(*command: str) -> list[str]:
    return subprocess.run(command, capture_output=True, text=True).stdout.split()


def daemons(number: int) -> list[int]:
    """Processes that mind a job's steps on its node."""
    named = f"slurmstepd: [{number}."
    return [
        process.pid for process in psutil.process_iter(["cmdline"]) if named in " ".join(process.info["cmdline"] or [])
    ]


def jobs() -> dict[int, dict[str, str]]:
    """Every job as `scontrol` shows it, finished ones among them, by number."""
    shown = subprocess.run(["scontrol", "show", "job", "--oneliner"], capture_output=True, text=True).stdout
    found = [dict(word.split("=", 1) for word in line.split() if "=" in word) for line in shown.splitlines()]
    return {int(job["JobId"]): job for job in found if "JobId" in job}
