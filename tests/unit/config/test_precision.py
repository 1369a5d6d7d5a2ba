"""The precision of every job is settled when the workflow is planned."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from peftuq.config import precision
from peftuq.config.study import Study
from peftuq.errors import UserError
from peftuq.jobs.jobs import Jobs

ROOT = Path(__file__).parents[3]
W = SimpleNamespace(model="minilm", dataset="snippets2", recipe="lora_demo", seed="0", predictive="mc_dropout-5")


def jobs(**keys) -> Jobs:
    return Jobs(Study({"suites": ["demo", "demo_uq4ct"], "sources": ["registry"], **keys}, ROOT / "config"))


def tasks(found: Jobs) -> list[dict]:
    """Tasks of every program that runs a model."""
    rules = (found.train, found.extract, found.predict_with_model, found.fit_laplace)
    return [json.loads(rule.spec(W))["task"] for rule in rules]


@pytest.mark.parametrize("native", ["bf16", "fp32"])
def test_auto_is_resolved_in_every_specification(monkeypatch, native):
    monkeypatch.setattr(precision, "native", lambda: native)
    assert [task["precision"] for task in tasks(jobs())] == [native] * 4
    assert {r["precision"] for r in jobs().list_cells.cells["recipes"].values()} == {native}


@pytest.mark.parametrize("chosen, native", [("bf16", "fp32"), ("fp32", "bf16")])
def test_one_key_overrides_all_recipes_and_the_machine(monkeypatch, chosen, native):
    monkeypatch.setattr(precision, "native", lambda: native)
    assert [task["precision"] for task in tasks(jobs(precision=chosen))] == [chosen] * 4
    resolved = jobs(precision=chosen).train.spec(W)
    monkeypatch.setattr(precision, "native", lambda: chosen)
    assert jobs().train.spec(W) == resolved  # however it was decided, it is the same job


def test_the_papers_grids_are_planned_in_bf16_wherever():
    import yaml

    assert yaml.safe_load((ROOT / "config/paper.yaml").read_text())["precision"] == "bf16"


def test_an_unknown_precision_is_one_line():
    with pytest.raises(UserError, match=r"key 'precision'.*'auto', 'bf16' or 'fp32'.*got 'fp16'"):
        jobs(precision="fp16")


def test_jobs_elsewhere_are_told(monkeypatch):
    for resolved in ("bf16", "fp32"):
        monkeypatch.setenv(precision.VARIABLE, resolved)
        assert precision.native() == resolved


@pytest.mark.parametrize("capability, processor, expected", [
    (8, False, "bf16"), (7, True, "fp32"), (None, True, "bf16"), (None, False, "fp32"),
])  # fmt: skip
def test_a_gpu_decides_where_there_is_one(monkeypatch, capability, processor, expected):
    monkeypatch.delenv(precision.VARIABLE, raising=False)
    monkeypatch.setattr(precision, "_compute_capability", lambda: capability)
    monkeypatch.setattr(precision, "_cpu_has_bf16", lambda: processor)
    assert precision.native() == expected
