"""The section on what ran: origins, environment, training, limits."""

import json

import fabricate
import numpy as np
import pytest

from peftuq import files
from peftuq.report import environment, origins, what_ran
from peftuq.report.run import Run
from peftuq.report.words import counted, signed


@pytest.fixture(scope="module")
def run(fabricated: dict[str, str]) -> Run:
    return Run.read(**fabricated)


def table(run: Run, name: str):
    return {item.name: item for item in what_ran.section(run, "1 May 2026").all()}[f"run_{name}"]


def test_origins_in_words():
    hub = {"kind": "hub", "repo": "org/name", "revision": "main", "commit": "0123456789abcdef", "files": {}}
    assert origins.described(hub) == "hub org/name, commit 0123456789ab"
    packages = {"one": {"version": "1.0", "sha256": "a" * 64}, "two": {"version": "2.0", "sha256": "b" * 64}}
    expected = "package one 1.0, sha256 aaaaaaaaaaaa; package two 2.0, sha256 bbbbbbbbbbbb"
    assert origins.described({"kind": "registry", "packages": packages}) == expected
    assert origins.described({}) == "missing"


def test_a_local_folders_path_is_not_printed():
    assert origins.described({"kind": "local", "folder": "/home/someone/secret"}) == "a local folder"


def test_dequantised_weights_are_named(run: Run):
    rows = {row.labels[0]: row.entries for row in table(run, "models").rows}
    assert "weights are dequantised from SmolLM2-135M-Instruct.Q4_1.gguf" in rows["SmolLM2-135M-Instruct"][-1].plain
    assert "sha256 5c5c5c5c5c5c" in rows["SmolLM2-135M-Instruct"][-1].plain
    assert "dequantised" not in rows["RoBERTa-base"][-1].plain
    assert any("SmolLM2-135M-Instruct were dequantised" in found for found in what_ran.section(run, "").findings)


def test_datasets_have_their_sizes_and_notes(run: Run):
    rows = {row.labels[0]: row.entries for row in table(run, "datasets").rows}
    assert rows["toxigen"][0].plain == "160 / 40 / 40"
    assert "no official test rows" in rows["toxigen"][-1].plain
    assert "package vaderSentiment 2.5" in rows["toxigen"][-1].plain
    assert set(rows) == set(run.datasets)


def test_training_counts_the_adapters(run: Run):
    rows = {row.labels: row.entries for row in table(run, "training").rows}
    entries = rows["RoBERTa-base", "cola"]
    assert [entry.plain for entry in entries[:4]] == ["3 of 3", "294,912", "2", "12"]
    assert entries[-1].plain == "cpu, float32"
    assert any("Trained: 18, in 4 minutes" in found for found in what_ran.section(run, "").findings)


def test_the_precision_of_every_number_is_said(run: Run):
    assert "All models compute in float32" in what_ran._precisions(run)
    cells = fabricate.cells_of({"adue": [("roberta", "cola", [])]}, 1)
    other = [{**cell, "recipe": "other"} for cell in cells["cells"]]
    recipes = {**cells["recipes"], "other": {**cells["recipes"]["lora"], "precision": "bf16"}}
    mixed = Run({**cells, "cells": cells["cells"] + other, "recipes": recipes}, run._metrics, "nowhere")
    assert "in float32: lora; in bfloat16: other" in what_ran._precisions(mixed)


def test_limits_are_said(run: Run):
    assert "320 training, 120 validation, 240 test examples" in what_ran._limits(run)
    cells = fabricate.cells_of({"adue": [("roberta", "cola", [])]}, 1)
    cells["limit"] = {"train": None, "valid": None, "test": None, "shift": None}
    assert what_ran._limits(Run(cells, fabricate.long_table([]), "x")) == "Every dataset was used whole."


def test_settings_are_flattened():
    assert (
        what_ran._flat({"rank": 8, "targets": ["q", "k"], "clip": None, "lr": 5e-4}) == "rank 8, targets q k, lr 0.0005"
    )
    assert what_ran._flat(None) == "none"
    assert what_ran._flat({}) == "–"


def test_the_environment_names_versions_and_no_machine():
    import platform

    assert environment.software()["Python"] == platform.python_version()
    assert environment.software()["numpy"]
    assert int(environment.hardware()["Logical cores"]) >= 1
    name = platform.node()
    assert not any(len(name) > 4 and name in value for value in environment.hardware().values())


def test_words():
    assert (counted(1, "cell"), counted(0, "cell"), counted(1234, "cell")) == ("1 cell", "0 cells", "1,234 cells")
    assert (signed(1.25), signed(-1.25), signed(-0.01)) == ("+1.2", "−1.2", "0.0")


@pytest.mark.parametrize(("seconds", "said"), [(90, "90 seconds"), (600, "10 minutes"), (9000, "2.5 hours")])
def test_durations(seconds: float, said: str):
    assert what_ran._duration(seconds) == said


def test_examples_and_inputs_that_tell_less_are_counted(tmp_path):
    read = fabricate.results(tmp_path, {"adue": [("minilm", "snippets2", ["nyt2"])]}, 1, n=40)
    run = Run.read(**read)
    none = {"empty": 0, "repeated": 0, "contradictory": 0}
    counts = {
        "train": {"examples": 1160, **none, "empty": 3},
        "test": {"examples": 40, **none, "repeated": 5, "in_train": 2},
    }
    for split in ("train", "test"):
        rows = {"id": np.arange(counts[split]["examples"])}
        files.write_columns(run.paths.data(split, "snippets2"), rows, {"counts": json.dumps(counts)})
    adapter = ("minilm", "snippets2", "lora", 0)
    facts = {"cut": {"valid": 4, "test": 1, "nyt2": 40}, "max_length": 64}
    files.write_json(run.paths.facts(run.paths.records(*adapter)), facts)
    rows = {row.labels[0]: [entry.plain for entry in row.entries] for row in table(run, "examples").rows}
    assert rows["snippets2, train"] == ["1,160", "3", "0", "0", "–"]
    assert rows["snippets2, test"] == ["40", "0", "5", "0", "2"]
    rows = {row.labels[0]: [entry.plain for entry in row.entries] for row in table(run, "cut").rows}
    assert rows == {
        "all-MiniLM-L6-v2 on snippets2": ["64", "–", "10.0", "2.5"],
        "all-MiniLM-L6-v2 on nyt2": ["64", "–", "–", "100.0"],
    }
