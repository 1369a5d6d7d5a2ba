"""Two processes share a training as its rule starts them, on CPUs: what they compute, write, and do when one fails."""

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
import shared_training
import torch
from recipes import recipe
from safetensors import safe_open
from safetensors.torch import load_file
from shared_training import EPOCH, KINDS
from trainings import job

from peftuq import launch
from peftuq.errors import UserError
from peftuq.models.batching import collate
from peftuq.models.readout import ReadOut
from peftuq.training import checkpoints, loop

pytestmark = pytest.mark.slow

# Processes have different numbers of parts, and a head that is normalised a little further with each part.
BROKEN = "spectral_parts"


def start(folder: Path, *kinds: str, **fault: object) -> subprocess.Popen:
    folder.mkdir(exist_ok=True)
    words = itertools.chain.from_iterable((f"--{name}", str(value)) for name, value in fault.items())
    command = [sys.executable, shared_training.__file__, "--folder", str(folder), "--log", str(folder / "log"), *words]
    command += ["--kinds", *kinds]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)


def run(folder: Path, *kinds: str, **fault: object) -> int:
    return start(folder, *kinds, **fault).wait(timeout=240)


def position(folder: Path, kind: str) -> dict:
    with safe_open(folder / kind / "checkpoint" / checkpoints.FILE, framework="pt") as file:
        return json.loads(file.metadata()["position"])


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def pair(tmp_path_factory) -> Path:
    """Every kind of training by two processes that nothing disturbed."""
    folder = tmp_path_factory.mktemp("pair")
    assert run(folder, *KINDS) == 0, (folder / "log").read_text()
    return folder


def in_two_parts(self: loop.Run, rows: np.ndarray, number: int) -> None:
    """A step of one process, which goes through the two processes' shares of the batch one after the other."""
    shares = [rows[process::2] for process in range(2) if len(rows[process::2])]
    batches = [collate(self.data["train"], share, self.job.pad) for share in shares]
    self.step(batches, number, loop.schedule(number, self.steps, self.optim), 1 / len(rows))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != BROKEN])
def test_two_processes_end_within_rounding_of_one(tmp_path, monkeypatch, pair, kind):
    """Weights of 15 steps to 1e-4 of their size or 2e-5; load balancing, no mean over examples, in the same parts."""
    if kind == "balanced":
        monkeypatch.setattr(loop.Run, "update", in_two_parts)
    alone, history = shared_training.train(tmp_path, kind, 1)
    fresh = shared_training.weights(shared_training.read_out(kind))
    shared = load_file(pair / f"{kind}.safetensors")
    assert any((value - fresh[name]).abs().max() > 1e-3 for name, value in shared.items())
    for name, value in shared_training.weights(alone).items():
        torch.testing.assert_close(shared[name], value, rtol=1e-4, atol=2e-5, msg=lambda m, n=name: f"{n}: {m}")
    for one, two in zip(history, json.loads((pair / f"{kind}.json").read_text()), strict=True):
        assert two == pytest.approx(one, rel=1e-4)
    whole = shared_training.Recorder({}, tmp_path / kind / "checkpoint").all(3)
    parts = shared_training.Recorder({}, pair / kind / "checkpoint").all(3)
    for one, two in zip(whole, parts, strict=True):
        assert np.array_equal(one["shift"].id, two["shift"].id)
        np.testing.assert_allclose(one["shift"].logits, two["shift"].logits, rtol=1e-3, atol=1e-3)


def test_only_the_main_process_writes(pair):
    written = [line.split() for line in (pair / "written").read_text().splitlines()]
    assert {process for process, _ in written} == {"0"}
    for epoch in range(1, 4):
        assert sum(name == f"epoch{epoch}.safetensors" for _, name in written) == len(KINDS)
    lines = (pair / "log").read_text().splitlines()
    assert sum("epoch 1 " in line for line in lines) == 1  # of the last kind, which began the log anew


def test_a_killed_then_a_stopped_training_ends_in_the_same_bits(tmp_path, pair):
    """The main process is killed; then a signal reaches only the other, at the last step of an epoch."""
    assert run(tmp_path, BROKEN, fault="SIGKILL", process=0, step=5) != 0
    assert position(tmp_path, BROKEN)["step"] == 5
    assert run(tmp_path, BROKEN, fault="SIGTERM", process=1, step=2 * EPOCH - 1) != 0
    assert "signal received: checkpoint at step 10 of 15" in (tmp_path / "log").read_text()
    assert position(tmp_path, BROKEN)["step"] == 2 * EPOCH
    assert run(tmp_path, BROKEN) == 0
    assert "resumed at step 10 of 15" in (tmp_path / "log").read_text()
    resumed, whole = (load_file(folder / f"{BROKEN}.safetensors") for folder in (tmp_path, pair))
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())
    assert (tmp_path / f"{BROKEN}.json").read_bytes() == (pair / f"{BROKEN}.json").read_bytes()
    name = f"{BROKEN}/checkpoint/epoch3.safetensors"
    assert (tmp_path / name).read_bytes() == (pair / name).read_bytes()


def test_sigterm_to_the_launcher_stops_all_processes_with_a_checkpoint(tmp_path):
    launcher = start(tmp_path, "lora", fault="SIGSTOP", process=1, step=8)
    workers = _stand_still(launcher)
    launcher.send_signal(signal.SIGTERM)
    for worker in workers:
        worker.send_signal(signal.SIGTERM)  # as Slurm does; the launcher passes its own on, too
        worker.send_signal(signal.SIGCONT)
    assert launcher.wait(timeout=120) != 0
    assert not any(worker.is_running() for worker in workers)
    assert position(tmp_path, "lora")["step"] == 9


def _stand_still(launcher: subprocess.Popen) -> list[psutil.Process]:
    """The processes of a launcher, once one is stopped."""
    end = time.monotonic() + 120
    while time.monotonic() < end:
        workers = psutil.Process(launcher.pid).children()
        if any(worker.status() == psutil.STATUS_STOPPED for worker in workers):
            return workers
        time.sleep(0.1)
    raise AssertionError("no process stopped")


def test_divergence_of_one_process_ends_all_with_one_line(tmp_path):
    assert run(tmp_path, "lora", fault="diverged", process=1, step=8) != 0
    lines = (tmp_path / "log").read_text().splitlines()
    assert ["diverged: after step 10 the loss is nan" in line for line in lines].count(True) == 1
    assert "Traceback" not in "".join(lines) and "error" in lines[-1]
    assert position(tmp_path, "lora")["step"] == 8


# -- one process -----------------------------------------------------------------------------------------


ORPHAN = """
import os, signal, sys, time
from peftuq import launch
before = launch.abandoned()
os.kill(os.getppid(), signal.SIGKILL)
for _ in range(500):
    time.sleep(0 if launch.abandoned() else 0.01)
print(before, launch.abandoned())
"""


def test_a_process_whose_launcher_is_killed_notices_and_stops(tmp_path, monkeypatch):
    launcher = [sys.executable, "-c", "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]])"]
    environment = {**os.environ, "LOCAL_RANK": "0"}
    done = subprocess.run([*launcher, ORPHAN], env=environment, capture_output=True, text=True)
    assert done.stdout.split() == ["False", "True"]
    monkeypatch.setattr(launch, "abandoned", lambda: True)
    with pytest.raises(SystemExit):
        shared_training.train(tmp_path, "lora", 1)
    assert position(tmp_path, "lora")["step"] == 1


def test_a_signal_at_the_last_step_of_an_epoch_loses_no_epoch(tmp_path, monkeypatch):
    step = loop.Run.update

    def asked(self, rows, number):
        step(self, rows, number)
        if number == EPOCH - 1:
            os.kill(os.getpid(), signal.SIGTERM)

    _, whole = shared_training.train(tmp_path / "whole", "lora", 1)
    monkeypatch.setattr(loop.Run, "update", asked)
    with pytest.raises(SystemExit):
        shared_training.train(tmp_path / "broken", "lora", 1)
    monkeypatch.setattr(loop.Run, "update", step)
    assert shared_training.train(tmp_path / "broken", "lora", 1)[1] == whole


def test_more_processes_than_run_or_gpus_than_there_are_is_said(tmp_path, monkeypatch):
    model: ReadOut = shared_training.read_out("lora")
    with pytest.raises(UserError, match=r"gpus: 2, but 1 processes run"):
        loop.train(model, shared_training.DATA, job(tmp_path, recipe(gpus=2)))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(UserError, match=r"gpus: 2, but this machine offers 1"):
        loop.train(model, shared_training.DATA, job(tmp_path, recipe(gpus=2)))
