"""A training that two processes share, each with a GPU, beside one process with one."""

import os
import subprocess
import sys

import pytest
import shared_training
import torch
from safetensors.torch import load_file

KINDS = ("lora", "lora_choice", "spectral", "mixture")
APART = 1e-3  # of a weight's size, and 2e-4 beyond: sums in another order, and products of another shape


@pytest.mark.parametrize("kind", KINDS)
def test_two_processes_end_within_rounding_of_one(hardware, measured, tmp_path, kind):
    if hardware.device.type == "cuda" and hardware.count < 2:
        measured.check(f"{kind}: two processes on two GPUs", "not run: one GPU")
        pytest.skip("one GPU")
    folder = tmp_path / "shared"
    folder.mkdir()
    command = [sys.executable, shared_training.__file__, "--folder", str(folder), "--log", str(folder / "log")]
    command += ["--kinds", kind]
    environment = {name: value for name, value in os.environ.items() if name != "LOCAL_RANK"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    alone, _ = shared_training.train(tmp_path / "alone", kind, 1)
    furthest, shared = 0.0, load_file(folder / f"{kind}.safetensors")
    for name, value in shared_training.weights(alone).items():
        value = value.cpu()
        torch.testing.assert_close(shared[name], value, rtol=APART, atol=APART / 5, msg=lambda m, n=name: f"{n}: {m}")
        furthest = max(furthest, float((shared[name] - value).abs().max()))
    measured.check(f"{kind}: two processes on two GPUs", f"weights at most {furthest:.1e} from one process's")
