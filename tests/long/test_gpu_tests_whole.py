"""The tests of tests/gpu whole, on a processor and at tiny sizes: no GPU is rented to find a slip in them."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests" / "gpu"))

from measurements import CHECKS, JOBS  # noqa: E402

SLOWER = ("llama", "qwen2", "lora_choice", "spectral")  # kinds of small trainings, of which one or two are enough here


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "pytest", "tests/gpu", "-p", "no:cacheprovider", "-p", "no:xdist", *arguments]
    hidden = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1", **environment}
    return subprocess.run(command, cwd=ROOT, env=hidden, capture_output=True, text=True)


def test_all_of_them_run_on_a_processor(tmp_path):
    table = tmp_path / "gpu.md"
    left_out = " and ".join(f"not [{kind}]" for kind in SLOWER)
    done = run("-m", "not workflow", "-k", left_out, "--table", str(table))
    assert done.returncode == 0, done.stdout + done.stderr
    lines = table.read_text().splitlines()
    jobs, checks = ([line for line in lines if line.count("|") == len(columns) + 1] for columns in (JOBS, CHECKS))
    assert {line.split()[1] for line in jobs[2:]} == {
        "train_lora", "train_mixlora", "extract", "predict_with_model", "fit_laplace", "fit_adue",
    }  # fmt: skip
    assert any("resumed" in line for line in checks) and any("two processes" in line for line in checks)
    assert any("host waits" in line for line in checks) and any("flash" in line for line in checks)
