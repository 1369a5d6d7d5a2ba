"""A storm of faults over a run, and the same bytes in the end.

    python benchmarks/fault_storm.py [--faults 30] [--seed 0] [--of CHECKOUT]

A small grid (tests/workflow/nano.py) runs once in peace. Then it runs again while SIGKILL and SIGTERM hit its jobs
and Snakemake itself, at random moments of a seeded draw; whenever Snakemake has gone, the same command is given again,
after `--unlock` if it was killed. Jobs that a killed Snakemake leaves behind run on beside the next one's, and are hit
as well. Printed: the faults by signal and rule, the number of starts, and whether metrics.csv is the same to the byte.

`--of` names a checkout whose run has ended in peace, such as one after `make demo`: its configuration is run under
faults in a copy, with what it downloaded, and its metrics.csv is what must come out.
"""

import argparse
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests" / "workflow")]

import faulty  # noqa: E402
from checkout import Checkout  # noqa: E402

GRID = {
    "models": ["nano_encoder"],
    "datasets": ["words"],
    "recipes": ["tiny"],
    "seeds": 2,
    "shifts": {"words": ["other_words"]},
    "predictives": ["point", "temperature"],
    "scores": ["softmax", "mahalanobis", "adue"],
}
PAUSE = (0.5, 7.0)  # seconds between two faults, uniform; of a run whose jobs take minutes:
LONG_PAUSE = (2.0, 40.0)
AT_SNAKEMAKE = 0.25  # the share of faults that hit Snakemake, not one of its jobs
SNAKEMAKE = "(snakemake)"


class Storm:
    def __init__(self, checkout: Checkout, faults: int, seed: int, pause: tuple[float, float]):
        self.checkout, self.due, self.draw, self.pause = checkout, faults, random.Random(seed), pause
        self.delivered: Counter[tuple[str, str]] = Counter()  # (rule, signal) → how often
        self.starts = 0

    def run(self) -> None:
        """Give the same command until it succeeds."""
        done = None
        while done != 0:
            process = self._start()
            while process.poll() is None and sum(self.delivered.values()) < self.due:
                self._wait(process, self.draw.uniform(*self.pause))
                self._strike(process)
            done = process.wait()
            if done == -signal.SIGKILL:
                subprocess.run(self.checkout.command("--unlock"), cwd=self.checkout.folder, capture_output=True)

    def _start(self) -> subprocess.Popen:
        self.starts += 1
        log = open(self.checkout.folder / f"snakemake{self.starts}.txt", "w")
        command = self.checkout.command(faulty.METRICS)
        return subprocess.Popen(command, cwd=self.checkout.folder, stdout=log, stderr=subprocess.STDOUT)

    def _wait(self, process: subprocess.Popen, seconds: float) -> None:
        """Wait, and on until there is a job to hit."""
        end = time.monotonic() + seconds
        while process.poll() is None and (time.monotonic() < end or not self._jobs()):
            time.sleep(0.05)

    def _strike(self, process: subprocess.Popen) -> None:
        jobs = self._jobs()
        if process.poll() is not None or not jobs:
            return
        number = self.draw.choice([signal.SIGKILL, signal.SIGTERM])
        rule, victim = self.draw.choice(sorted(jobs.items()))
        if self.draw.random() < AT_SNAKEMAKE:
            rule, victim = SNAKEMAKE, psutil.Process(process.pid)
        try:
            victim.send_signal(number)
        except psutil.NoSuchProcess:
            return
        self.delivered[rule, number.name] += 1
        print(f"{sum(self.delivered.values())} of {self.due}: {number.name} to {rule}", file=sys.stderr, flush=True)

    def _jobs(self) -> dict[str, psutil.Process]:
        """A running job of every rule that has one."""
        found = {}
        for process in psutil.process_iter(["cmdline", "cwd"]):
            words = process.info["cmdline"] or []
            if process.info["cwd"] == str(self.checkout.folder) and words[:1] == ["python"] and "--log" in words:
                found[Path(words[words.index("--log") + 1]).parts[2]] = process
        return found


def miniature(folder: Path) -> tuple[bytes, float, Checkout]:
    """The metrics of the small grid's run in peace, its seconds, and a checkout that is slow enough to be hit."""
    quiet, hit = (faulty.furnished(folder / name, GRID) for name in ("quiet", "hit"))
    began = time.monotonic()
    subprocess.run(quiet.command(faulty.METRICS), cwd=quiet.folder, check=True, capture_output=True)
    faulty.slow(hit, 0.3)
    return quiet.metrics(), time.monotonic() - began, hit


def copy_of(checkout: Path, folder: Path) -> Checkout:
    hit = Checkout(folder)
    shutil.rmtree(folder / "config")
    shutil.copytree(checkout / "config", folder / "config")
    (folder / "downloads").symlink_to((checkout / "downloads").resolve())
    return hit


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faults", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--of", type=Path, help="a checkout whose run has ended in peace")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        if args.of is None:
            expected, in_peace, hit = miniature(Path(name))
        else:
            expected, hit = (args.of / faulty.METRICS).read_bytes(), copy_of(args.of, Path(name, "hit"))
        storm = Storm(hit, args.faults, args.seed, LONG_PAUSE if args.of else PAUSE)
        began = time.monotonic()
        storm.run()
        same = hit.metrics() == expected
        left = len(hit.half_files())
        seconds = time.monotonic() - began
    rules = sorted({rule for rule, _ in storm.delivered})
    print(f"{'':24}{'SIGKILL':>8}{'SIGTERM':>8}")
    for rule in rules:
        print(f"{rule:24}{storm.delivered[rule, 'SIGKILL']:8}{storm.delivered[rule, 'SIGTERM']:8}")
    total = sum(storm.delivered.values())
    peace = f", in peace {in_peace:.0f} s" if args.of is None else ""
    print(f"{total} faults; Snakemake was started {storm.starts} times; {seconds:.0f} s{peace}")
    print(f"metrics.csv is {'the same to the byte' if same else 'NOT the same'}; {left} half-written files are left")
    if total < args.faults:
        print(f"the run ended after {total} faults of {args.faults}: shorten the pauses between them")
    return 0 if same and total >= args.faults else 1


if __name__ == "__main__":
    sys.exit(main())
