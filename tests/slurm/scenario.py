"""A run on a cluster where everything happens that can: played once, and kept for the tests to look at."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cluster
import faulty
import yaml
from checkout import Checkout

COMMON = {"models": ["nano_encoder"], "datasets": ["words"], "recipes": ["tiny"], "shifts": {"words": ["other_words"]}}
GRIDS = (
    {**COMMON, "seeds": cluster.NODES, "predictives": ["point"], "scores": ["softmax"]},
    {**COMMON, "seeds": 1, "predictives": ["point", "temperature"], "scores": ["adue", "mahalanobis"]},
    {**COMMON, "recipes": [faulty.PAIR], "seeds": 1, "predictives": ["point"], "scores": ["softmax"]},
)
CELL = "nano_encoder/words/tiny"
# In place of a whole GPU a quarter of one, and at first less memory than any job of PyTorch needs.
FIT_ADUE = {"slurm_partition": "gpu", "gpu": 0, "gres": "'shard:1'", "mem_mb": "1000 * attempt - 800", "runtime": 60}


@dataclass
class Scenario:
    """A checkout, what is done to it, and what Slurm and Snakemake say of it."""

    checkout: Checkout
    hit: dict[str, int] = field(default_factory=dict)  # fault → the job that it hit
    interrupted: list[int] = field(default_factory=list)  # jobs of the first run when ^C came
    left: list[int] = field(default_factory=list)  # and those of them that were left when it had ended
    returncodes: list[int] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)  # by Snakemake, one text per run
    jobs: dict[int, dict[str, str]] = field(default_factory=dict)  # by Slurm of every job, in the end

    # -- what happened -----------------------------------------------------------------------------------

    def of(self, rule: str, seed: int | None = None) -> list[dict[str, str]]:
        """The jobs of a rule, or of its one seed, in the order of their submission."""
        return of(self.jobs, rule, seed)

    def slurm_log(self, job: dict[str, str]) -> str:
        return Path(job["StdOut"]).read_text()

    def table(self) -> str:
        """Every job of Slurm's: where it ran, on what, and how it ended."""
        faults = {number: f"  <- {fault}" for fault, number in self.hit.items()}
        faults |= dict.fromkeys(self.interrupted, "  <- ^C")
        lines = [f"{'job':>4}  {'node':5}{'GPU':20}{'MB':>7}  {'time limit':12}{'state':15}{'requeued':9}what"]
        for number, job in sorted(self.jobs.items()):
            gpu = (job.get("TresPerJob") or job.get("TresPerNode") or "").removeprefix("gres:")
            size = f"{megabytes(job):7.0f}  {job['TimeLimit']:12}"
            ended = f"{job['JobState']:15}{job['Restarts']:9}{job.get('Comment', '')}"
            lines.append(f"{number:4}  {job['NodeList']:5}{gpu:20}{size}{ended}{faults.get(number, '')}")
        return "\n".join(lines)

    # -- how it happens ----------------------------------------------------------------------------------

    def play(self) -> None:
        faulty.slow(self.checkout, 0.8)
        profile = self.checkout.folder / "slurm/config.yaml"
        settings = yaml.safe_load(profile.read_text())
        settings["set-resources"]["fit_adue"] = FIT_ADUE
        profile.write_text(yaml.safe_dump(settings))
        self._interrupted_run()
        self._finished_run()
        self.jobs = cluster.jobs()

    def _interrupted_run(self) -> None:
        with self._snakemake(2) as run:
            self._wait(run, "a training", lambda: any(map(trainings, _seeds())), 600)
            self.interrupted = active()
            os.killpg(run.pid, signal.SIGINT)
            self._wait(run, "the end", lambda: run.poll() is not None, 180)
        time.sleep(cluster.KILL_WAIT + 3)
        self.left = active()

    def _finished_run(self) -> None:
        began = time.time()
        with self._snakemake(64) as run:
            for seed, fault in enumerate(FAULTS):
                self._wait(run, f"seed {seed}", lambda s=seed: self._left_a_checkpoint(s, began) and trainings(s), 600)
                (number,) = trainings(seed)
                self.hit[fault] = number
                FAULTS[fault](self, seed, number)
            requeued = [self.hit[fault] for fault in REQUEUED]
            self._wait(run, "the requeues", lambda: all(map(_runs_again, requeued)), 600)
            self._wait(run, "the end", lambda: run.poll() is not None, 2400)

    def _left_a_checkpoint(self, seed: int, since: float) -> bool:
        state = self.checkout.folder / f"results/checkpoints/{CELL}/seed{seed}/state.safetensors"
        return state.exists() and state.stat().st_mtime > since

    @contextlib.contextmanager
    def _snakemake(self, jobs: int) -> Iterator[subprocess.Popen]:
        """The command of the README; the plug-in looks after its jobs 2 s after the last news rather than 40."""
        command = [sys.executable, "-m", "snakemake", "--profile", "slurm", "-j", str(jobs), faulty.METRICS]
        command += ["--slurm-init-seconds-before-status-checks", "2"]
        output = self.checkout.folder / f"output{len(self.outputs)}.txt"
        with open(output, "w") as file:
            run = subprocess.Popen(
                command, cwd=self.checkout.folder, stdout=file, stderr=subprocess.STDOUT, start_new_session=True,
                # What a shell starts in the background ignores ^C, and so would all that is started from here.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )  # fmt: skip
        try:
            yield run
        finally:
            if run.poll() is None:
                os.killpg(run.pid, signal.SIGKILL)
            self.returncodes.append(run.wait())
            self.outputs.append(output.read_text())

    def _wait(self, run: subprocess.Popen, what: str, done: Callable[[], object], seconds: float) -> None:
        try:
            cluster.wait(what, lambda: run.poll() is not None or done(), seconds)
            assert done(), f"Snakemake ended before {what}"
        except (AssertionError, TimeoutError) as error:
            output = (self.checkout.folder / f"output{len(self.outputs)}.txt").read_text()
            raise AssertionError(f"{error}\n{cluster.jobs()}\n{output[-8000:]}") from error

    # -- faults of a training's job ------------------------------------------------------------------------

    def cancelled(self, seed: int, number: int) -> None:
        _slurm("scancel", number)

    def node_down(self, seed: int, number: int) -> None:
        """It comes back when its daemon next reports (ReturnToService)."""
        node = cluster.jobs()[number]["NodeList"]
        _slurm("scontrol", "update", f"nodename={node}", "state=down", "reason=test")

    def preempted(self, seed: int, number: int) -> None:
        node = cluster.jobs()[number]["NodeList"]
        options = f"--partition=urgent --nodelist={node} --gpus=1 --mem=1000 --chdir=/ --output=/dev/null"
        _slurm("sbatch", *options.split(), "--wrap=sleep 5")

    def warned_of_its_limit(self, seed: int, number: int) -> None:
        hours, minutes, _ = cluster.jobs()[number]["RunTime"].split(":")
        _slurm("scontrol", "update", f"JobId={number}", f"TimeLimit={60 * int(hours) + int(minutes) + 2}")

    def out_of_time(self, seed: int, number: int) -> None:
        """It stands still and heeds no warning."""
        stall = faulty.stall(self.checkout, seed)
        stall.touch()
        _slurm("scontrol", "update", f"JobId={number}", "TimeLimit=1")
        cluster.wait("the time limit", lambda: cluster.jobs()[number]["JobState"] != "RUNNING", 300)
        stall.unlink()


FAULTS = {
    "scancel": Scenario.cancelled,
    "node down": Scenario.node_down,
    "preempted": Scenario.preempted,
    "warned": Scenario.warned_of_its_limit,
    "out of time": Scenario.out_of_time,
}
REQUEUED = ("node down", "preempted")  # by Slurm itself
assert len(FAULTS) == cluster.NODES


def _seeds() -> range:
    return range(len(FAULTS))


def _runs_again(number: int) -> bool:
    """Whether a requeued job has started; Slurm lets it wait two minutes unless a start is set.

    A node that has not yet buried the job's first run refuses, and Slurm would hold the job.
    """
    job = cluster.jobs()[number]
    if job["Reason"] == "BeginTime" and not cluster.daemons(number):
        subprocess.run(["scontrol", "update", f"JobId={number}", "StartTime=now"], capture_output=True)
    return job["Restarts"] == "1" and job["JobState"] in ("RUNNING", "COMPLETED")


def _slurm(*command: object) -> None:
    subprocess.run([str(word) for word in command], check=True, capture_output=True)


def megabytes(job: dict[str, str]) -> float:
    """The memory that a job requested, perhaps for each CPU; Slurm shows it in the unit that it finds readable."""
    each = "MinMemoryCPU" in job
    requested, times = (job["MinMemoryCPU"], int(job["NumCPUs"])) if each else (job["MinMemoryNode"], 1)
    return times * float(requested[:-1]) * {"M": 1, "G": 1024}[requested[-1]]


def of(jobs: dict[int, dict[str, str]], rule: str, seed: int | None = None) -> list[dict[str, str]]:
    """The jobs of a rule, but for the training by two processes and what follows from it."""
    where = r"(_wildcards_.*)?" if seed is None else rf"_.*_tiny_{seed}(_.*)?"
    pattern = re.compile(rf"rule_{rule}(?!.*_{faulty.PAIR}_){where}")
    return [job for _, job in sorted(jobs.items()) if pattern.fullmatch(job.get("Comment", ""))]


def trainings(seed: int) -> list[int]:
    return [int(job["JobId"]) for job in of(cluster.jobs(), "train_lora", seed) if job["JobState"] == "RUNNING"]


def active() -> list[int]:
    """Jobs that run or wait."""
    return [int(number) for number in cluster.words("squeue", "--noheader", "--format=%i")]
