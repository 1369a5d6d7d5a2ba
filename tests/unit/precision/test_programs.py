"""Every program that runs a model, in both precisions, and how far apart they are: `distances.BOUNDS`.

`pytest --collect-only tests/unit/precision` lists what runs; with `--junitxml` the measured distances are written.
"""

import itertools

import numpy as np
import pytest
from distances import AGREEMENT, BOUNDS, PART, ULP, measure
from grid import PRECISIONS, RUNS
from safetensors import safe_open

from peftuq.artifacts import RecordFile, softmax

ONCE = [pytest.param(*run, id="-".join(map(str, run))) for run in RUNS]
IN_BOTH = [
    pytest.param(*run, precision, id="-".join(map(str, (*run, precision))))
    for run, precision in itertools.product(RUNS, PRECISIONS)
]
DOUBLE = {
    "fit_laplace",
    "laplace",
    "laplace_probit",
    "laplace_valid",
    "mc_dropout-2",
    "spuq-4",
    "tfb-2",
    "posterior_samples-2",
}


def arrays(path) -> dict[str, np.ndarray]:
    with safe_open(path, "numpy") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  not a dict


@pytest.mark.parametrize("program, model, precision", IN_BOTH)
def test_a_program_runs(runs, program, model, precision):
    found = arrays(runs[precision].make(program, model))
    numbers = {name: array for name, array in found.items() if array.dtype.kind != "i"}
    assert numbers and all(np.isfinite(array).all() for array in numbers.values())
    assert {array.dtype for array in numbers.values()} == {np.dtype(np.float64 if program in DOUBLE else np.float32)}


@pytest.mark.parametrize("program, model", ONCE)
def test_bf16_is_close_to_float32(runs, program, model, record_property):
    """Outputs of one adapter, run in both; of a training, the two trainings' ends."""
    alone = program == "train" or model.adapter == "untuned"
    half = runs["bf16"].make(program, model)
    full = runs["fp32" if alone else "bf16 read in fp32"].make(program, model)
    found = measure(program, half, full)
    record_property("distances", found)
    agreement = found.pop("argmax", 1.0)
    assert agreement >= AGREEMENT
    assert {name: d / ULP for name, d in found.items() if d > BOUNDS[name] * ULP} == {}
    assert any(d > 0 for d in found.values())  # or bf16 was none


@pytest.mark.parametrize("model", [pytest.param(model, id=str(model)) for name, model in RUNS if name == "extract"])
def test_answers_that_are_not_close_calls_agree(runs, model):
    half, full = (
        RecordFile(runs[of].make("extract", model))[PART]
        for of in ("bf16", "fp32" if model.adapter == "untuned" else "bf16 read in fp32")
    )
    best = np.sort(softmax(full.logits), axis=1)
    clear = best[:, -1] - best[:, -2] > 2 * BOUNDS["probabilities"] * ULP
    assert (half.logits.argmax(axis=1) == full.logits.argmax(axis=1))[clear].all()
