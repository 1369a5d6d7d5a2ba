"""The test of tests/gpu that runs the workflow, on a processor: no GPU is rented to find a slip in it."""

import os
import subprocess
import sys

import pytest
from checkout import ROOT

pytestmark = pytest.mark.workflow


def test_it_runs_on_a_processor(tmp_path):
    table = tmp_path / "gpu.md"
    command = [sys.executable, "-m", "pytest", "tests/gpu", "-m", "workflow", "-k", "fp32", "--table", str(table)]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "| small workflow, fp32: furthest from the processor's | nll 0.0e+00, " in table.read_text()
