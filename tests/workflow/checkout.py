"""A copy of this checkout to run the real workflow in, with a grid of seconds on real weights and data."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import yaml

ROOT = Path(__file__).parents[2]
PARTS = ("Snakefile", "workflow", "src", "config", "local", "slurm", "profiles", "envs", "reports/template.typ")
GRID = {
    "models": ["minilm"],
    "datasets": ["snippets2"],
    "recipes": ["tiny"],
    "seeds": 2,
    "shifts": {"snippets2": ["tweets2"]},
    "predictives": ["point", "temperature"],
    "scores": ["softmax", "mahalanobis", "adue"],
}
RECIPE = {
    "extends": "lora",
    "optimiser": {"lr": 0.003, "weight_decay": 0.1, "batch_size": 8, "epochs": 2, "warmup": 0.1},
    "checkpoint_steps": 2,
}
CONFIG = {
    "suites": ["tiny"],
    "sources": ["registry"],
    "downloads": str(ROOT / "downloads"),  # archives are kept and verified by hash: fetched once for all tests
    "limit": {"train": 48, "valid": 24, "test": 40, "shift": 20},
    "methods": {"adue": {"lr": [0.001], "epochs": [2], "alpha": [0.0, 0.1], "beta": [0.1]}},
    "bootstrap": 20,
}


class Checkout:
    """A copy of the repository; `run` calls Snakemake in it as a user would."""

    def __init__(self, folder: Path):
        self.folder = folder
        for part in PARTS:
            source, target = ROOT / part, folder / part
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copyfile(source, target)
        self.suite(GRID)
        self.write("config/recipes/tiny.yaml", RECIPE)
        self.write("config/config.yaml", CONFIG)

    def write(self, name: str, content: dict) -> None:
        (self.folder / name).write_text(yaml.safe_dump(content))

    def suite(self, *grids: dict) -> None:
        suite = {"version": 1, "title": "Tiny", "sections": ["adue"], "grids": list(grids)}
        self.write("config/suites/tiny.yaml", suite)

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "snakemake", "--profile", "local", "--cores", "2", *arguments]

    def run(self, *arguments: str) -> subprocess.CompletedProcess:
        return subprocess.run(self.command(*arguments), cwd=self.folder, capture_output=True, text=True)

    def metrics(self) -> bytes:
        return (self.folder / "results" / "metrics.csv").read_bytes()

    def half_files(self) -> list[Path]:
        return [path for path in (self.folder / "results").rglob("*.part") if "checkpoints" not in path.parts]

    def run_and_kill(self, script: str, ready: Callable[[], bool] = lambda: True) -> subprocess.CompletedProcess:
        """Run, and SIGKILL the first job of `script` as soon as `ready()`."""
        process = subprocess.Popen(
            self.command(), cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        killed = False
        while process.poll() is None and not killed:
            for job in self.jobs(script):
                if ready():
                    os.kill(job, signal.SIGKILL)
                    killed = True
                    break
            time.sleep(0.02)
        output, _ = process.communicate()
        assert killed, f"no job of {script} was seen:\n{output}"
        return subprocess.CompletedProcess(process.args, process.returncode, output, "")

    def jobs(self, script: str) -> list[int]:
        """Processes of a workflow script that run in this copy."""
        found = []
        for process in psutil.process_iter(["cmdline", "cwd"]):
            words = process.info["cmdline"] or []
            if process.info["cwd"] == str(self.folder) and len(words) > 1 and words[1].endswith(f"/{script}.py"):
                found.append(process.pid)
        return found
