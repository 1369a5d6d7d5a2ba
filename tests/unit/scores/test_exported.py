"""What people run without the library gives what the workflow gives: every plug-in that has `apply`."""

from pathlib import Path

import numpy as np
import pytest

from peftuq import plugins
from peftuq.artifacts import Head, Record, RecordFile, SampleFile, softmax, write_records
from peftuq.config.methods import Methods
from peftuq.jobs.identity import module
from peftuq.predictives.protocol import ExportedPredictive
from peftuq.scores.protocol import ExportedScore, states

METHODS = Methods(Path(plugins.__file__).parent, {}, "test")
SMALL = {"adue": {"lr": [1e-2], "epochs": [2], "alpha": [0.1], "beta": [0.1]}, "linear_probe": {"strengths": 2}}
SMALL |= {"mlp_probe": {"hidden": [5, 4], "epochs": 3}, "knn": {"k": 3}}
CLASSES, D = 3, 6


def record(n: int, seed: int, head: Head, missing: bool) -> Record:
    rng = np.random.default_rng(seed)
    h = rng.normal(size=(n, D)).astype(np.float32)
    logits = (head.representation(h) @ head.out_weight.T).astype(np.float32)
    if missing:
        logits[::4, 2] = -np.inf
    noisy = logits + rng.normal(size=logits.shape)
    return Record(np.arange(n), noisy.argmax(axis=1), logits, h)


@pytest.fixture(params=["tanh", "gelu", ""], scope="module")
def file(request, tmp_path_factory):
    rng = np.random.default_rng(0)
    dense = {"dense_weight": rng.normal(size=(D, D)), "dense_bias": rng.normal(size=D)} if request.param else {}
    arrays = {name: array.astype(np.float32) for name, array in dense.items()}
    head = Head(rng.normal(size=(CLASSES, D)).astype(np.float32), **arrays, activation=request.param)
    path = tmp_path_factory.mktemp("records") / "records.safetensors"
    sizes = {"train": 60, "valid": 50, "test": 40}
    write_records(path, {p: record(n, n, head, request.param == "") for p, n in sizes.items()}, head)
    return path


def exported(files: dict[str, Path], protocol: type) -> list[str]:
    return [name for name, file in files.items() if isinstance(plugins.load(module(file), object), protocol)]


@pytest.mark.parametrize("name, choices", [
    *((name, {}) for name in exported(METHODS.scores, ExportedScore)),
    ("adue", {"reference": "code"}), ("adue", {"random_linear": "sigmoid"}),
])  # fmt: skip
def test_a_score_is_what_its_state_gives(name, choices, file):
    declared, method = METHODS.score(name), plugins.load(module(METHODS.scores[name]), ExportedScore)
    params = {**declared.params, **SMALL.get(name, {}), **choices}
    inputs = RecordFile(file) if declared.reads == "records" else SampleFile(file)
    wanted, _ = method.score(inputs, ["test"], params, 1)
    state, test = states(method, declared, inputs, params, 1), RecordFile(file)["test"]
    assert set(state) == set(wanted) == set(declared.variants)
    for variant, by_part in wanted.items():
        found = method.apply(variant, state[variant], softmax(test.logits), test.logits, test.h)
        np.testing.assert_allclose(found, by_part["test"], rtol=1e-8, atol=1e-9, err_msg=variant)


@pytest.mark.parametrize("name", exported(METHODS.predictives, ExportedPredictive))
def test_a_predictive_is_what_its_state_gives(name, file):
    declared, method = METHODS.predictive(name), plugins.load(module(METHODS.predictives[name]), ExportedPredictive)
    inputs = RecordFile(file)
    wanted, _ = method.predict([inputs], ["test"], declared.params, 1, None)
    found = method.apply(method.fit_state(inputs, declared.params, 1), inputs["test"].logits)
    np.testing.assert_allclose(found, wanted["test"].mean, rtol=1e-9, atol=1e-12)


def test_the_methods_that_can_be_exported():
    assert {"adue", "energy", "knn", "linear_probe", "mahalanobis", "mlp_probe", "softmax"} <= set(
        exported(METHODS.scores, ExportedScore)
    )
    assert {"isotonic", "matrix_scaling", "temperature", "vector_scaling"} <= set(
        exported(METHODS.predictives, ExportedPredictive)
    )
