"""The workflow with a recipe that takes two GPUs, on CPUs: two processes start, and each result is written once."""

import csv
import io
import re
import subprocess
import sys
from collections import Counter

import faulty
import nano
import pytest
from checkout import Checkout

pytestmark = pytest.mark.workflow

# A model without dropout, whose masks would be each process's own.
GRID = {
    "models": ["nano_decoder"],
    "datasets": ["words_choice"],
    "seeds": 1,
    "predictives": ["point"],
    "scores": ["softmax"],
}
CELL = "nano_decoder/words_choice/pair/seed0"
# Python runs this in every job before the job itself.
NOTES = """
import os

def noted(move):
    def wrapper(source, target, **more):
        with open({file!r}, "a") as file:
            file.write(f"{{os.environ.get('LOCAL_RANK', '-')}} {{target}}\\n")
        return move(source, target, **more)
    return wrapper

os.replace, os.rename = noted(os.replace), noted(os.rename)
"""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Checkout:
    """A finished run of two recipes that differ in the number of GPUs, and of an ensemble's member on two."""
    made = faulty.furnished(tmp_path_factory.mktemp("pair"), {**GRID, "recipes": ["tiny", "pair"]})
    one = {**nano.SMALL, "optimiser": {**nano.SMALL["optimiser"], "epochs": 6}, "epoch_records": 20}
    made.write("config/recipes/tiny.yaml", one)
    (made.folder / "src/sitecustomize.py").write_text(NOTES.format(file=str(made.folder / "written")))
    done = made.run(faulty.METRICS)
    assert done.returncode == 0, done.stdout + done.stderr
    return made


def test_metrics_of_two_processes_are_those_of_one(checkout):
    found: dict[str, dict] = {"tiny": {}, "pair": {}}
    for row in csv.DictReader(io.StringIO(checkout.metrics().decode())):
        found[row["recipe"]][row["eval"], row["method"], row["metric"]] = float(row["value"])
    assert found["tiny"] and found["pair"] == pytest.approx(found["tiny"], rel=1e-3)
    for key, value in found["tiny"].items():
        print(*key, value, found["pair"][key])


def test_every_result_of_two_processes_is_written_by_the_first_alone(checkout):
    written = [line.split() for line in (checkout.folder / "written").read_text().splitlines()]
    shared = [(process, target) for process, target in written if process != "-"]
    assert {process for process, _ in shared} == {"0"}
    results = Counter(target for _, target in shared if "/checkpoints/" not in target and ".part/" not in target)
    assert set(results.values()) <= {1, 2}  # whole, and once more with its identity
    assert f"results/adapters/{CELL}" in results


def test_slurm_is_asked_for_two_gpus_and_twice_the_cpus(checkout):
    command = [sys.executable, "-m", "snakemake", "--profile", "slurm", "-j", "1", "--dry-run", "--forceall"]
    done = subprocess.run([*command, faulty.METRICS], cwd=checkout.folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    resources = re.findall(r"^rule train_.*?^ +resources: (.*?)$", done.stdout + done.stderr, re.MULTILINE | re.DOTALL)
    requested = [set(one.split(", ")) for one in resources]
    expected = ({f"gpu={gpus}", f"cpus_per_task={4 * gpus}", "nodes=1", "mem_mb_per_cpu=8000"} for gpus in (1, 2))
    assert all(any(wanted <= one for one in requested) for wanted in expected), resources


def test_the_log_is_the_first_processs(checkout):
    lines = (checkout.folder / f"results/logs/train_ensemble_member/{CELL}.log").read_text()
    assert all(lines.count(f"epoch {epoch} ") == 1 for epoch in range(1, 7)) and "process 1" not in lines
