"""How long Snakemake plans a run of thousands of small jobs, how much of that is ours, and what scheduling costs a run.

    python benchmarks/dag_scale.py [--jobs 1000 5000 20000] [--paper]

Each grid is planned by `snakemake -n --profile local` in a process of its own: processor seconds, wall seconds and
peak memory, as the kernel counts them. `ours` is the processor time of our part alone: to expand the configuration, and
to call every input and parameter function once for each job. `--paper` plans the AdUE paper's grid and all papers'.

The simulation runs the papers' jobs on eight GPUs, longest first, with and without what scheduling adds to each: two
starts of Snakemake for a GPU job, one for a group of forty small jobs and one for each of them.
"""

import argparse
import heapq
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import yaml

from peftuq.cells import PREDICTION
from peftuq.config import load
from peftuq.config.study import Study
from peftuq.jobs.jobs import Jobs
from peftuq.planning import plan
from peftuq.planning.cards import CARDS
from peftuq.planning.rehearsals import Rehearsals
from peftuq.planning.workload import Workload

ROOT = Path(__file__).parents[1]
PARTS = ("Snakefile", "workflow", "src", "config", "local", "envs", "reports/template.typ")
MODELS, DATASETS, SEEDS = ["minilm", "mpnet"], ["snippets2", "snippets5"], 9
PAPERS = ("adue", "ensembles", "uq4ct", "cross")
A_SEED = 11  # post-hoc jobs: a temperature, four scores, the metrics of those four and of two distributions
GPUS, CPUS, GROUP = 8, 64, 40  # the AdUE paper's machine; `group-components` of the cluster's profile
SMALL = 5.0  # seconds of a small job's own work, most of which is importing


class Used(NamedTuple):
    wall: float
    processor: float
    megabytes: float


def copy(folder: Path) -> None:
    for part in PARTS:
        source, target = ROOT / part, folder / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(source, target)


def write_grid(folder: Path, posthoc: int) -> Path:
    """A configuration with at least so many post-hoc jobs, over as many recipes as it takes."""
    a_recipe = A_SEED * len(MODELS) * len(DATASETS) * SEEDS
    recipes = [f"scale{number}" for number in range(-(-posthoc // a_recipe))]
    for recipe in recipes:
        (folder / f"config/recipes/{recipe}.yaml").write_text("extends: lora_demo\n")
    grid = {"models": MODELS, "datasets": DATASETS, "recipes": recipes, "seeds": SEEDS,
            "predictives": ["point", "temperature"], "scores": ["softmax", "mahalanobis", "rde"]}  # fmt: skip
    suite = {"version": 1, "title": "Scale", "sections": ["adue"], "grids": [grid]}
    (folder / "config/suites/scale.yaml").write_text(yaml.safe_dump(suite))
    return write_config(folder, "scale")


def write_config(folder: Path, *suites: str) -> Path:
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump({"suites": list(suites), "sources": ["registry", "hub"]}))
    return path


def dry_run(folder: Path, config: Path, *targets: str) -> Used:
    arguments = ["-n", "-q", "all", "--profile", "local", "--configfile", str(config)]
    command = [sys.executable, "-m", "snakemake", *targets, *arguments]
    started = time.monotonic()
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)}: status {status}")
    return Used(time.monotonic() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def needs(rule: Any, w: Any) -> None:
    rule.inputs(w), rule.spec(w), rule.code(w)


def ours(folder: Path, config: Path) -> float:
    """Processor seconds of all that Snakemake asks of us, each function called once for each job."""
    started = time.process_time()
    jobs = Jobs(Study(load.read_yaml(config), folder / "config"))
    for cell, scores in jobs.study.cells.items():
        for score in (PREDICTION, *scores):
            w = SimpleNamespace(**cell._asdict(), score=score)
            needs(jobs.evaluate, w)
            if score != PREDICTION:
                needs(jobs.fit_scores, w)
        if jobs.predictives.rule_of(cell.predictive) == "predict_from_records":
            needs(jobs.predict_from_records, w)
    for adapter in jobs.study.adapters:
        w = SimpleNamespace(**adapter._asdict())
        needs(jobs.extract, w)
        if jobs.train.rule_of(adapter.recipe) is not None:
            needs(jobs.train, w)
    for setting in jobs.study.settings:
        w = SimpleNamespace(**setting._asdict())
        needs(jobs.compare, w)
    return time.process_time() - started


# -- what scheduling costs --------------------------------------------------------------------------------


def makespan(seconds: Sequence[float], slots: int) -> float:
    """When the last of some independent jobs ends, the longest started first."""
    free = [0.0] * slots
    for job in sorted(seconds, reverse=True):
        heapq.heappush(free, heapq.heappop(free) + job)
    return max(free)


def run(jobs: Jobs, a_start: float) -> float:
    """Hours until everything is done: trainings, what asks the models, then the small jobs in groups."""
    found = list(Workload(jobs, Rehearsals(Path(jobs.study.config.results), CARDS["a100-80"])).gpu_jobs())
    training = [job.seconds + 2 * a_start for job in found if job.rule.startswith("train_")]
    asking = [job.seconds + 2 * a_start for job in found if not job.rule.startswith("train_")]
    predicted = sum(jobs.predictives.rule_of(cell.predictive) == "predict_from_records" for cell in jobs.study.cells)
    scored = sum(
        jobs.fit_scores.rule_of(score) == "fit_baselines" for scores in jobs.study.cells.values() for score in scores
    )
    small = predicted + scored + len(jobs.aggregate.metrics)
    groups = [a_start + GROUP * (SMALL + a_start)] * -(-small // GROUP)
    return (makespan(training, GPUS) + makespan(asking, GPUS) + makespan(groups, CPUS)) / 3600


def simulate(a_start: float) -> str:
    jobs = Jobs(Study(load.read_yaml(ROOT / "config" / "paper.yaml"), ROOT / "config"))
    alone, scheduled = run(jobs, 0.0), run(jobs, a_start)
    added = scheduled / alone - 1
    return f"the papers' grids on {GPUS} GPUs: {alone:.2f} h, with scheduling {scheduled:.2f} h: {added:+.1%}"


def one_start(folder: Path) -> float:
    """Processor seconds of Snakemake for one job of the papers' grids: the least of three."""
    config = write_config(folder, *PAPERS)
    return min(dry_run(folder, config, "results/data/sst2/train.parquet").processor for _ in range(3))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, nargs="*", default=[1000, 5000, 20000])
    parser.add_argument("--paper", action="store_true", help="the papers' grids in place of generated ones")
    args = parser.parse_args()
    print(f"{'grid':<32}{'jobs':>7}{'wall s':>9}{'cpu s':>9}{'ours s':>9}{'MB':>7}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copy(folder)
        for grid in [PAPERS[:1], PAPERS] if args.paper else args.jobs:
            config = write_config(folder, *grid) if args.paper else write_grid(folder, grid)
            count = sum(plan.jobs_per_rule(Jobs(Study(load.read_yaml(config), folder / "config"))).values())
            used, spent = dry_run(folder, config), ours(folder, config)
            title = "+".join(grid) if args.paper else f"{grid} post-hoc jobs"
            print(f"{title:<32}{count:>7}{used.wall:>9.1f}{used.processor:>9.1f}{spent:>9.2f}{used.megabytes:>7.0f}")
        start = one_start(folder)
    print(f"one start of Snakemake: {start:.1f} s")
    print(simulate(start))


if __name__ == "__main__":
    main()
