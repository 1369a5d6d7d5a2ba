"""The workflow from data to report on models of a few thousand weights, on the device and on the processor."""

import csv
import io
import json
import math
from pathlib import Path

import pytest
from checkout import Checkout
from nano import Nano

pytestmark = pytest.mark.workflow

# Of means over some thirty examples. A near tie may turn accuracy by an example or two, and rankings by more: metrics
# of ranks are only to be numbers.
BOUNDS = {
    "fp32": {"nll": 0.002, "brier": 0.002, "accuracy": 0.04},
    "bf16": {"nll": 0.05, "brier": 0.03, "accuracy": 0.1},
}
DROPOUT = ("hidden_dropout_prob", "attention_probs_dropout_prob")


@pytest.fixture
def run(hardware, monkeypatch, tmp_path):
    """Runs the grid of `Nano` in a precision: on the device, or where CUDA is hidden from every job."""

    def ran(precision: str, on_device: bool) -> Checkout:
        checkout = Nano(tmp_path / f"{precision}_{'device' if on_device else 'processor'}")
        _without_dropout(checkout.folder)
        config = checkout.folder / "config" / "config.yaml"
        config.write_text(f"{config.read_text()}precision: {precision}\n")
        with monkeypatch.context() as patch:
            if not on_device:
                patch.setenv("CUDA_VISIBLE_DEVICES", "")
            done = checkout.run()
        assert done.returncode == 0, done.stdout + done.stderr
        return checkout

    return ran


def _without_dropout(folder: Path) -> None:
    """Devices draw different masks from the same seed."""
    file = folder / "material" / "nano_encoder" / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **dict.fromkeys(DROPOUT, 0.0)}))


def values(checkout: Checkout) -> dict[tuple[str, ...], float]:
    rows = csv.DictReader(io.StringIO(checkout.metrics().decode()))
    return {tuple(value for key, value in row.items() if key != "value"): float(row["value"]) for row in rows}


@pytest.mark.parametrize("precision", BOUNDS)
def test_the_small_workflow_says_what_it_says_on_the_processor(hardware, measured, run, precision):
    on_device = run(precision, True)
    found = values(on_device)
    assert found and all(math.isfinite(value) for value in found.values())
    devices = {json.loads(file.read_text())["device"] for file in (on_device.folder / "results").rglob("training.json")}
    assert {device.split(":")[0] for device in devices} == {hardware.device.type}
    expected = found if hardware.device.type == "cpu" else values(run(precision, False))
    assert found.keys() == expected.keys()
    apart = dict.fromkeys(BOUNDS[precision], 0.0)
    for key, value in found.items():
        if key[-1] in apart:
            apart[key[-1]] = max(apart[key[-1]], abs(value - expected[key]))
    said = ", ".join(f"{metric} {most:.1e}" for metric, most in apart.items())
    measured.check(f"small workflow, {precision}: furthest from the processor's", said)
    assert all(most <= BOUNDS[precision][metric] for metric, most in apart.items()), apart
