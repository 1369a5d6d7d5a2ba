"""The small workflow once in each precision: every program that runs a model, and all that is made of its answers."""

import csv
import io
import json
import re
import shlex

import pytest
import yaml
from checkout import Checkout
from nano import Nano

pytestmark = pytest.mark.workflow

ULP = 2.0**-8  # of bf16
# Two trainings of a few steps end within rounding of each other; 3 of 30 answers may be too close to call.
CLOSE = {"accuracy": 0.1, "nll": 16 * ULP, "brier": 16 * ULP}
ADAPTER = {"targets": ["q", "v"], "rank": 2, "alpha": 4, "dropout": 0.1}
SMALL = {"version": 1, "adapter": ADAPTER, "optimiser": {"lr": 0.01, "batch_size": 16, "epochs": 2}}
MIXTURE = {**ADAPTER, "mixture": {"experts": 4, "top_k": 2, "experts_at": ["attention"]}}
RECIPES = {"dropped": SMALL, "mixed": {**SMALL, "adapter": MIXTURE, "loss": {"balance": {}, "calibration": {}}}}
ENCODER = {"models": ["nano_encoder"], "datasets": ["words"], "seeds": 1, "shifts": {"words": ["other_words"]}}
DECODER = {"models": ["nano_decoder"], "datasets": ["words_choice"], "seeds": 1}
EVERY = ["point", "temperature", "mc_dropout-2", "spuq-2", "laplace", "ensemble-2"]
GRIDS = [
    {**ENCODER, "recipes": ["dropped"], "predictives": EVERY, "scores": ["softmax", "mahalanobis", "rde", "adue"]},
    {**DECODER, "recipes": ["dropped"], "predictives": ["point"], "scores": ["softmax"]},
    {**DECODER, "recipes": ["mixed"], "predictives": ["point"], "scores": ["softmax", "flu"]},
]
MODELS_RUN = {"train_lora": 3, "train_mixlora": 1, "extract": 4, "predict_with_model": 2, "fit_laplace": 1}
AFTER = {"predict_from_records": 3, "fit_baselines": 11, "fit_adue": 1, "evaluate": 20, "compare": 3}
REPORTED = {"list_cells": 1, "aggregate": 1, "render_report": 1}


class Both(Nano):
    """A small checkout of all programs; `precision` "auto" leaves it to the environment."""

    def __init__(self, folder, precision: str):
        super().__init__(folder, precision)
        for name, recipe in RECIPES.items():
            self.write(f"config/recipes/{name}.yaml", recipe)
        suite = {"version": 1, "title": "Tiny", "sections": ["adue", "ensembles", "uq4ct"], "grids": GRIDS}
        self.write("config/suites/tiny.yaml", suite)

    def ask_for(self, precision: str) -> None:
        path = self.folder / "config/config.yaml"
        self.write("config/config.yaml", {**yaml.safe_load(path.read_text()), "precision": precision})


@pytest.fixture(scope="module")
def float32(tmp_path_factory) -> Both:
    return ran(Both(tmp_path_factory.mktemp("fp32"), "fp32"))


@pytest.fixture(scope="module")
def bf16(tmp_path_factory) -> Both:
    """The host that submits decides the precision."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PEFTUQ_PRECISION", "bf16")
        return ran(Both(tmp_path_factory.mktemp("bf16"), "auto"))


def ran(checkout: Both) -> Both:
    done = checkout.run()
    assert done.returncode == 0, done.stdout + done.stderr
    return checkout


def values(checkout: Checkout) -> dict[tuple[str, ...], float]:
    rows = csv.DictReader(io.StringIO(checkout.metrics().decode()))
    return {
        (*(v for k, v in row.items() if k not in ("metric", "value")), row["metric"]): float(row["value"])
        for row in rows
    }


def trainings(checkout: Checkout) -> list[dict]:
    return [json.loads(path.read_text()) for path in sorted(checkout.folder.glob("results/adapters/**/training.json"))]


def test_every_model_ran_in_the_precision_of_its_run(float32, bf16):
    assert [facts["dtype"] for facts in trainings(float32)] == ["torch.float32"] * 4
    assert [facts["dtype"] for facts in trainings(bf16)] == ["torch.bfloat16"] * 4


def test_the_metrics_are_close(float32, bf16):
    full, half = values(float32), values(bf16)
    assert full.keys() == half.keys()
    assert full != half
    distances = {key: abs(half[key] - value) for key, value in full.items()}
    assert {key[-1] for key in distances} >= CLOSE.keys()
    assert {key: d for key, d in distances.items() if key[-1] in CLOSE and d > CLOSE[key[-1]]} == {}


# -- the precision of jobs ------------------------------------------------------------------------


def test_every_job_is_told_its_precision(bf16, monkeypatch):
    monkeypatch.setenv("PEFTUQ_PRECISION", "bf16")
    printed = bf16.run("--dry-run", "--forceall", "--printshellcmds").stdout
    specs = re.findall(r"python \$PEFTUQ_SCRIPTS/(\w+)\.py --spec (.*?) --", printed)
    found = {script: json.loads(shlex.split(spec)[0]) for script, spec in specs}
    assert {"train", "extract", "predict_with_model", "fit_laplace"} <= found.keys()
    assert {spec["task"]["precision"] for spec in found.values() if "task" in spec} == {"bf16"}
    assert not [spec for _, spec in specs if '"auto"' in spec]


@pytest.mark.parametrize("checkout, words, other", [("float32", "fp32", "bf16"), ("bf16", "bf16", "fp32")])
def test_the_report_says_the_precision(request, checkout, words, other):
    table = (request.getfixturevalue(checkout).folder / "reports/tables/recipes.csv").read_text()
    assert table.count(f"precision {words}") == len(RECIPES)
    assert f"precision {other}" not in table and "auto" not in table


def test_another_precision_makes_all_due_that_runs_a_model(float32):
    float32.ask_for("bf16")
    try:
        assert float32.due() == {**MODELS_RUN, **AFTER, **REPORTED}
    finally:
        float32.ask_for("fp32")


def test_the_submitting_host_decides_what_auto_means(bf16, monkeypatch):
    monkeypatch.setenv("PEFTUQ_PRECISION", "bf16")
    assert bf16.due() == {}
    monkeypatch.setenv("PEFTUQ_PRECISION", "fp32")
    assert bf16.due() == {**MODELS_RUN, **AFTER, **REPORTED}


def test_however_a_precision_was_decided_the_jobs_are_the_same(float32, monkeypatch):
    monkeypatch.setenv("PEFTUQ_PRECISION", "fp32")
    float32.ask_for("auto")
    try:
        assert float32.due() == {}
    finally:
        float32.ask_for("fp32")
