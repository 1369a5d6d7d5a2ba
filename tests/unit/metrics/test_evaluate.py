import json
import math
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peftuq.metrics import calibration, conformal, detection, risk_control, selective
from peftuq.metrics.evaluate import METRICS, prediction_metrics, probability_metrics, score_metrics, shift_metrics


def predictions(n=200, classes=3, seed=0, sharpness=0.5):
    rng = np.random.default_rng(seed)
    probs = rng.dirichlet(np.full(classes, sharpness), n)
    return probs, (probs.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)


def everything(probs, label, valid, shifted):
    score, error = 1 - probs.max(axis=1), probs.argmax(axis=1) != label
    return {
        "prediction": prediction_metrics(probs, label, valid),
        "score": score_metrics(score, error),
        "probability": probability_metrics(score, error),
        "shift": shift_metrics(score, 1 - shifted.max(axis=1)),
    }


def bounds(name, classes):
    low, high = METRICS[name]["range"].strip("[]()").split(", ")
    return float(low), float(classes if high == "C" else high)


def test_the_table_names_exactly_what_is_reported():
    probs, label = predictions()
    values = everything(probs, label, predictions(1000, seed=1, sharpness=0.1), predictions(seed=2)[0])
    reported = {name: of for of, group in values.items() for name in group}
    assert reported == {name: row["of"] for name, row in METRICS.items()}
    assert list(reported) == [name for of in values for name, row in METRICS.items() if row["of"] == of]
    for row in METRICS.values():
        assert set(row) == {"of", "meaning", "range", "better", "undefined"}
        assert row["better"] in ("higher", "lower", "nominal")
    for group in values.values():
        assert all(type(value) is float for value in group.values())


def test_every_name_is_the_metric_it_says():
    probs, label = predictions()
    valid = predictions(1000, seed=1, sharpness=0.1)
    confidence, correct = probs.max(axis=1), probs.argmax(axis=1) == label
    rules = (conformal.lac, conformal.aps, conformal.aps_inclusive, conformal.raps)
    lac, aps, inclusive, raps = (conformal.prediction_sets(rule, valid, probs) for rule in rules)
    limit = risk_control.answer_threshold(1 - valid[0].max(axis=1), valid[0].argmax(axis=1) != valid[1])
    accuracy = calibration.accuracy(probs, label)
    assert prediction_metrics(probs, label, valid) == {
        "accuracy": calibration.accuracy(probs, label),
        "nll": calibration.nll(probs, label),
        "brier": calibration.brier(probs, label),
        "ece_15": calibration.ece(confidence, correct, 15),
        "ece_10": calibration.ece(confidence, correct, 10),
        "adaptive_ece": calibration.adaptive_ece(confidence, correct, 15),
        "classwise_ece": calibration.classwise_ece(probs, label, 15),
        "lac_coverage": conformal.coverage(lac, label),
        "lac_set_size": conformal.mean_set_size(lac),
        "aps_coverage": conformal.coverage(aps, label),
        "aps_set_size": conformal.mean_set_size(aps),
        "aps_inclusive_coverage": conformal.coverage(inclusive, label),
        "aps_inclusive_set_size": conformal.mean_set_size(inclusive),
        "raps_coverage": conformal.coverage(raps, label),
        "raps_set_size": conformal.mean_set_size(raps),
        "uacc_lac": conformal.uacc(lac, accuracy),
        "uacc_aps": conformal.uacc(inclusive, accuracy),
        "risk_control_answered": risk_control.answered(1 - confidence, limit),
        "risk_control_error": risk_control.answered_error(1 - confidence, ~correct, limit),
    }
    score, error = 1 - confidence, ~correct
    assert score_metrics(score, error) == {
        "auroc": detection.auroc(score, error),
        "aupr": detection.aupr(score, error),
        "aurc": selective.aurc(score, error),
        "eaurc": selective.eaurc(score, error),
        "augrc": selective.augrc(score, error),
        "accuracy_50": selective.accuracy_at_coverage(score, error, 0.5),
        "accuracy_80": selective.accuracy_at_coverage(score, error, 0.8),
        "accuracy_90": selective.accuracy_at_coverage(score, error, 0.9),
        "risk_80": selective.risk_at_coverage(score, error, 0.8),
        "prr": selective.prr(score, error),
    }


def test_conformal_metrics_appear_with_a_valid_part_only():
    probs, label = predictions()
    conformal = {name for name, row in METRICS.items() if row["undefined"].startswith("no valid part")}
    assert {"lac_coverage", "raps_set_size", "uacc_lac", "risk_control_error"} <= conformal
    with_valid = prediction_metrics(probs, label, predictions(seed=1))
    without = prediction_metrics(probs, label)
    assert set(with_valid) - set(without) == conformal
    assert without == {name: value for name, value in with_valid.items() if name not in conformal}


def test_probability_metrics_of_the_softmax_response_are_those_of_the_prediction():
    probs, label = predictions(classes=2)
    error = probs.argmax(axis=1) != label
    of_score = probability_metrics(1 - probs.max(axis=1), error)
    of_prediction = prediction_metrics(probs, label)
    assert of_score["error_ece_15"] == pytest.approx(of_prediction["ece_15"], abs=1e-12)
    assert of_score["error_ece_10"] == pytest.approx(of_prediction["ece_10"], abs=1e-12)
    assert of_score["error_nll"] == pytest.approx(of_prediction["nll"], abs=1e-12)
    assert of_score["error_brier"] == pytest.approx(of_prediction["brier"] / 2, abs=1e-12)
    assert of_prediction["ece_10"] == calibration.ece(probs.max(axis=1), ~error, 10) != of_prediction["ece_15"]


def test_probability_metrics_by_hand():
    values = probability_metrics(np.array([0.0, 0.25, 1.0, 1 + 1e-12]), np.array([False, True, True, True]))
    assert values["error_brier"] == pytest.approx(0.75**2 / 4)
    assert values["error_nll"] == pytest.approx(-np.log(0.25) / 4)
    assert values["error_ece_15"] == pytest.approx(0.75 / 4)


def test_a_score_that_is_no_probability_is_refused():
    with pytest.raises(ValueError, match=r"from 0\.5 to 17"):
        probability_metrics(np.array([0.5, 17.0]), np.array([True, False]))


def test_shifted_examples_are_the_positives():
    assert shift_metrics(np.zeros(5), np.ones(3)) == {"ood_auroc": 1.0, "ood_fpr95": 0.0}
    assert shift_metrics(np.ones(5), np.zeros(3)) == {"ood_auroc": 0.0, "ood_fpr95": 1.0}


@pytest.mark.parametrize("all_wrong", [False, True])
def test_without_errors_or_without_correct_predictions_undefined_metrics_are_none(all_wrong):
    values = score_metrics(np.array([0.1, 0.2, 0.3]), np.full(3, all_wrong))
    reasons = ("all wrong or all right",) if all_wrong else ("all wrong or all right", "all right")
    undefined = {name for name, row in METRICS.items() if row["of"] == "score" and row["undefined"] in reasons}
    assert {name for name, value in values.items() if value is None} == undefined
    assert {"auroc", "prr"} <= undefined


def test_nothing_is_defined_of_no_examples_or_of_nan():
    none = np.empty((0, 3)), np.empty(0, dtype=np.int64)
    probs, label = predictions(n=4)
    broken = np.where(np.arange(4)[:, None] == 2, np.nan, probs)
    assert set(prediction_metrics(*none, none).values()) == {None}
    assert set(prediction_metrics(broken, label, (probs, label)).values()) == {None}
    half = prediction_metrics(probs, label, (broken, label))
    assert half["accuracy"] is not None and half["lac_coverage"] is None
    assert prediction_metrics(probs, label, none)["aps_set_size"] is None
    for metrics in (score_metrics, probability_metrics):
        assert set(metrics(np.empty(0), np.empty(0, dtype=bool)).values()) == {None}
        assert set(metrics(np.array([0.1, np.nan]), np.array([True, False])).values()) == {None}
    assert set(shift_metrics(np.zeros(3), np.empty(0)).values()) == {None}
    assert set(shift_metrics(np.array([np.nan]), np.zeros(3)).values()) == {None}


@settings(deadline=None)
@given(st.integers(1, 12), st.integers(2, 4), st.integers(0, 2**32 - 1), st.sampled_from([0.01, 1.0]))
def test_every_value_is_none_or_a_finite_number_in_its_range(n, classes, seed, sharpness):
    rng = np.random.default_rng(seed)
    probs, valid, shifted = (rng.dirichlet(np.full(classes, sharpness), size) for size in (n, 30, 3))
    probs[0] = np.eye(classes)[0]
    label = rng.integers(classes, size=n)
    values = everything(probs, label, (valid, valid.argmax(axis=1)), shifted)
    json.dumps(values, allow_nan=False)
    for group in values.values():
        for name, value in group.items():
            low, high = bounds(name, classes)
            assert value is None or (math.isfinite(value) and low - 1e-12 <= value <= high + 1e-12), name


def test_error_may_come_as_integers():
    score, error = np.array([0.1, 0.4, 0.3, 0.9]), np.array([0, 1, 0, 1])
    assert score_metrics(score, error) == score_metrics(score, error.astype(bool))
    assert probability_metrics(score, error) == probability_metrics(score, error.astype(bool))


@pytest.mark.parametrize(
    "module", ["calibration", "detection", "selective", "conformal", "risk_control", "bootstrap", "ranks", "evaluate"]
)
def test_importing_a_metric_loads_numpy_only(module):
    heavy = ("torch", "sklearn", "pandas", "scipy", "pyarrow", "transformers")
    program = f"import peftuq.metrics.{module}, sys; print([m for m in {heavy} if m in sys.modules])"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    ran = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
