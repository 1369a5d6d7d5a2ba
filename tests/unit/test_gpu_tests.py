"""The parts of tests/gpu that no device is needed for."""

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
from measurements import JOBS, Measurements  # noqa: E402

pytestmark = pytest.mark.slow

GIB = 2**30


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "pytest", "tests/gpu", "-p", "no:cacheprovider", "-p", "no:xdist", *arguments]
    hidden = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1", **environment}
    return subprocess.run(command, cwd=ROOT, env=hidden, capture_output=True, text=True)


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
