"""The tests of tests/gpu, on a processor and at tiny sizes: no GPU is rented to find a slip in them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests" / "gpu"))

from hardware import card  # noqa: E402
from measurements import CHECKS, JOBS, Measurements  # noqa: E402

GIB = 2**30
SLOWER = ("llama", "qwen2", "lora_choice", "spectral")  # kinds of small trainings, of which one or two are enough here


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "pytest", "tests/gpu", "-p", "no:cacheprovider", "-p", "no:xdist", *arguments]
    hidden = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1", **environment}
    return subprocess.run(command, cwd=ROOT, env=hidden, capture_output=True, text=True)


@pytest.mark.slow
def test_all_of_them_run_on_a_processor(tmp_path):
    table = tmp_path / "gpu.md"
    left_out = " and ".join(f"not [{kind}]" for kind in SLOWER)
    done = run("-m", "not workflow", "-k", left_out, "--table", str(table))
    assert done.returncode == 0, done.stdout + done.stderr
    lines = table.read_text().splitlines()
    jobs, checks = ([line for line in lines if line.count("|") == len(columns) + 1] for columns in (JOBS, CHECKS))
    assert {line.split()[1] for line in jobs[2:]} == {
        "train_lora", "train_mixlora", "extract", "sample", "fit_laplace", "fit_adue",
    }  # fmt: skip
    assert any("resumed" in line for line in checks) and any("two processes" in line for line in checks)
    assert any("host waits" in line for line in checks) and any("flash" in line for line in checks)


def test_without_a_device_they_fail_with_one_line():
    done = run("--device", "cuda")
    said = (done.stdout + done.stderr).strip().splitlines()
    assert done.returncode == 1
    assert len(said) == 1 and "no CUDA device: PyTorch" in said[0]


@pytest.mark.parametrize("name, memory, expected", [
    ("NVIDIA A100-SXM4-80GB", 79.1, "a100-80"),
    ("NVIDIA A100 80GB PCIe", 79.3, "a100-80"),
    ("NVIDIA A100-SXM4-40GB", 39.4, "a100-40"),
    ("NVIDIA H100 80GB HBM3", 79.1, "h100"),
    ("NVIDIA L4", 22.0, "l4"),
    ("NVIDIA L40S", 44.4, None),
    ("NVIDIA GeForce RTX 4090", 23.5, "rtx4090"),
    ("Tesla T4", 14.6, None),
])  # fmt: skip
def test_a_device_is_known_by_the_name_that_cuda_gives_it(name, memory, expected):
    found = card(name, int(memory * GIB))
    assert (found and found.name) == expected


@given(st.lists(st.tuples(*[st.text("abc ", min_size=1)] * len(JOBS)), max_size=3))
def test_rows_of_the_table_are_as_wide_as_its_head(rows):
    class Device:
        name, memory, count = "NVIDIA A100-SXM4-80GB", 80 * GIB, 1

    measured = Measurements()
    for row in rows:
        measured.job(*row)
    written = measured.markdown(Device(), {"PyTorch": "2"}).splitlines()
    assert written[0].startswith("1 × NVIDIA A100-SXM4-80GB, 80.0 GiB; PyTorch 2; ")
    assert [line.count("|") for line in written if line.startswith("|")][: 2 + len(rows)] == [len(JOBS) + 1] * (
        2 + len(rows)
    )
