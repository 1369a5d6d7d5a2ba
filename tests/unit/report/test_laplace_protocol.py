"""The printed numbers of the Laplace-LoRA protocol, each in its place beside a run of all of its methods."""

import csv
from pathlib import Path

import pytest

from peftuq.cells import Setting
from peftuq.config.study import Study
from peftuq.report import reference
from peftuq.report.laplace_protocol import section
from peftuq.report.run import Run
from peftuq.report.tables import Table

ROOT = Path(__file__).parents[3]
METRICS = {"accuracy": ("accuracy", 100), "ece": ("ece_15", 100), "nll": ("nll", 1)}
OURS = {  # printed → our row
    "LoRA (MLE)": "laplace_lora", "LoRA (MAP)": "laplace_map", "MC dropout": "laplace_dropout, mc dropout-10",
    "Ensemble of 3": "laplace_lora, ensemble-3", "Laplace-LoRA": "laplace_lora, laplace",
    "TFB": "laplace_lora, tfb-10", "BLoB": "laplace_blob, posterior samples-10",
    "DALorRA": "laplace_dalora, posterior samples-10",
}  # fmt: skip


@pytest.fixture(scope="module")
def study() -> Study:
    return Study({"suites": ["laplace_protocol"], "sources": ["hub", "registry"]}, ROOT / "config")


@pytest.fixture(scope="module")
def table(study) -> Table:
    """Every cell of the suite, each metric 1 in print; seeds agree."""
    cells = [
        {**cell._asdict(), "evals": study.evals(cell.setting), "scores": [], "suites": ["laplace_protocol"]}
        for cell in study.cells
        if cell.model in ("llama2_7b", "llama3.1_8b")
    ]
    models = {cell["model"]: study.models.get(cell["model"], "model", "").model_dump() for cell in cells}
    recipes = {cell["recipe"]: study.recipes.get(cell["recipe"], "recipe", "").model_dump() for cell in cells}
    suites = {"laplace_protocol": {"sections": ["laplace_protocol"]}}
    rows = [
        (*(cell[k] for k in ("model", "dataset", "recipe", "predictive", "seed")), part, metric, 1 / scale)
        for cell in cells
        for part in (cell["dataset"], *cell["evals"][1:])
        for metric, scale in METRICS.values()
    ]
    names = ("model", "dataset", "recipe", "predictive", "seed", "eval", "metric", "value")
    metrics = {**dict(zip(names, zip(*rows, strict=True), strict=True)), "method": ["prediction"] * len(rows)}
    found = {"suites": suites, "cells": cells, "models": models, "recipes": recipes, "methods": {}}
    found["datasets"] = {name: study.dataset(name).model_dump() for name in study.dataset_names}
    run = Run({**found, "limit": {}, "limits": {}}, metrics, "results")
    made = section.METHODS(run, run.settings("laplace_protocol"))
    assert made is not None
    return made


def test_every_printed_number_stands_below_its_method_with_the_difference(table):
    titles = {"llama2-7b": "LLaMA-2-7B", "llama3.1-8b": "Llama-3.1-8B"}
    heads = {metric: label for label, metric in section.HEADINGS.items()}
    lines = {(row.heading, *row.labels): row.entries for row in table.rows}
    validated = ("arc_easy", "arc_challenge", "obqa")
    columns = [(column.group, column.label) for column in table.columns]
    file = Path(reference.__file__).parent / "reference" / "laplace_protocol.csv"
    with open(file, newline="") as opened:
        printed = list(csv.DictReader(opened))
    for row in printed:
        trained, tested = (
            f"{row[key]}_validation" if row[key] in validated else row[key] for key in ("train_dataset", "eval_dataset")
        )
        column = columns.index((f"{titles[row['model']]}, trained on {trained}", tested))
        method, heading = OURS.get(row["method"], row["method"]), heads[METRICS[row["metric"]][0]]
        assert lines[heading, method, "paper"][column].value == float(row["value"])
        ours = lines[heading, method, "ours"][column]
        if row["method"] in OURS:
            assert ours.value == pytest.approx(1)
            assert lines[heading, method, "difference"][column].value == pytest.approx(1 - float(row["value"]))
        else:
            assert ours.text == "–"
    assert len(printed) == 414


def test_the_suite_is_the_protocols(study):
    lora = study.recipes.get("laplace_lora", "recipe", "")
    assert lora.optimiser.max_steps == 5000 and lora.optimiser.steps(640) == 5000 and lora.optimiser.passes(640) == 32
    assert lora.adapter.targets == ["q", "v", "lm_head"] and lora.max_length == 300 and lora.adapter.dropout == 0
    for setting in study.settings:
        splits = study.preparation(setting.dataset).splits
        assert splits.test == ["validation"] and "test" not in splits.used
    shifts = study.evals(Setting("qwen3_8b", "obqa_validation", "laplace_lora"))
    assert shifts == ["test", "arc_challenge_validation", "arc_easy_validation", "mmlu_chem", "mmlu_phy"]
