"""A made-up run whose costs are known: one model on one dataset, four recipes, facts of every job."""

from pathlib import Path
from typing import Any

from peftuq import files
from peftuq.cells import PREDICTION
from peftuq.evaluation import gather
from peftuq.paths import Paths
from peftuq.report.run import Run

EXAMPLES = 100
_ADAPTER = {"targets": ["q", "v"], "rank": 8, "alpha": 16, "dropout": 0.0, "top_layers": None}
RECIPES: dict[str, dict[str, Any]] = {
    "lora": {"adapter": _ADAPTER},
    "lora_dropout": {"adapter": {**_ADAPTER, "dropout": 0.1}},
    "blob": {"adapter": {**_ADAPTER, "blob": {"epsilon": 0.05}}},
    "untuned": {"adapter": None},
}
PREDICTIVES = {
    "temperature": {"reads": "records", "needs": ["valid"]},
    "ensemble": {"reads": "records", "needs": ["members"]},
    "checkpoint_ensemble": {"reads": "epochs", "needs": []},
    "laplace": {"reads": "laplace", "needs": ["lora"]},
    "mc_dropout": {"reads": "adapter", "needs": ["dropout"]},
    "posterior_samples": {"reads": "adapter", "needs": ["posterior"]},
}
SCORES = {"softmax": {"variants": ["sr", "entropy"]}, "adue": {"variants": ["adue", "adue_bce"]}}
ASKED = {
    "lora": ["point", "temperature", "ensemble-3", "checkpoint_ensemble-2", "laplace"],
    "lora_dropout": ["point", "mc_dropout-10"],
    "blob": ["point", "posterior_samples-5"],
    "untuned": ["point"],
}
TRAINED = {"lora": (1000, 20.0), "lora_dropout": (1000, 22.0), "blob": (1500, 50.0)}  # parameters, seconds
SECONDS = {"mc_dropout-10": 2.0, "posterior_samples-5": 1.0, "laplace": 4.0}  # in which the model ran
QUALITY = {  # error-AUROC of sr, ECE
    ("lora", "point"): (0.70, 0.20),
    ("lora", "temperature"): (0.70, 0.08),
    ("lora", "ensemble-3"): (0.78, 0.10),
    ("lora", "checkpoint_ensemble-2"): (0.69, 0.15),
    ("lora", "laplace"): (0.72, 0.07),
    ("lora_dropout", "point"): (0.68, 0.18),
    ("lora_dropout", "mc_dropout-10"): (0.71, 0.12),
    ("blob", "point"): (0.66, 0.16),
    ("blob", "posterior_samples-5"): (0.74, 0.06),
    ("untuned", "point"): (0.55, 0.30),
}


def _cells(seeds: int) -> list[dict[str, Any]]:
    return [
        {"model": "smollm2", "dataset": "d", "recipe": recipe, "seed": seed, "predictive": predictive,
         "scores": ["softmax", "adue"] if (recipe, predictive) == ("lora", "point") else ["softmax"],
         "evals": ["test"], "suites": ["s"]}
        for recipe, predictives in ASKED.items()
        for predictive in predictives
        for seed in ([0] if predictive == "ensemble-3" or recipe == "untuned" else range(seeds))
    ]  # fmt: skip


def run(folder: Path, seeds: int = 3) -> Run:
    """The run in `folder`; a value of a seed differs from its mean by a hundredth of the seed minus 1."""
    paths, cells = Paths(str(folder)), _cells(seeds)
    for cell in cells:
        key = (cell["model"], cell["dataset"], cell["recipe"], cell["seed"])
        _facts(paths.facts(paths.records(*key)), 0.5, 300)
        if cell["recipe"] in TRAINED:
            parameters, seconds = TRAINED[cell["recipe"]]
            facts = {"trainable": parameters, "all": 10**6, "seconds": seconds, "peak_mib": 900.0 + cell["seed"]}
            files.write_json(paths.training(*key), facts)
        predictive = cell["predictive"]
        made = paths.laplace(*key) if predictive == "laplace" else paths.samples(*key, predictive)
        if predictive != "point":
            _facts(paths.facts(made), SECONDS.get(predictive, 0.01), 400)
        if predictive == "laplace":
            _facts(paths.facts(paths.samples(*key, predictive)), 0.02, 100)
        for score in cell["scores"]:
            _facts(paths.facts(paths.scores(*key, predictive, score)), 3.0 if score == "adue" else 0.001, 200)
    described = {
        "suites": {"s": {"version": 1, "title": "S", "sections": ["costs"]}},
        "cells": cells,
        "models": {"smollm2": {"title": "SmolLM2", "kind": "decoder"}},
        "datasets": {"d": {"kind": "choice", "labelled": True}},
        "recipes": RECIPES,
        "methods": PREDICTIVES | SCORES,
        "limit": {},
        "limits": {},
    }
    return Run(described, _metrics(cells), str(folder))


def _facts(path: str, seconds: float, peak: float) -> None:
    files.write_json(path, {"examples": EXAMPLES, "seconds": seconds, "device": "cpu", "peak_mib": peak})


def _metrics(cells: list[dict[str, Any]]) -> dict[str, list]:
    columns: dict[str, list] = {name: [] for name in gather.COLUMNS}
    for cell in cells:
        auroc, ece = QUALITY[cell["recipe"], cell["predictive"]]
        rows = [(PREDICTION, "ece_15", ece), ("sr", "auroc", auroc)]
        rows += [("adue", "auroc", 0.75)] if "adue" in cell["scores"] else []
        for method, metric, value in rows:
            named = {**cell, "suite": "s", "eval": "d", "method": method, "metric": metric}
            for name in gather.COLUMNS[:-1]:
                columns[name].append(named[name])
            columns["value"].append(value + 0.01 * (cell["seed"] - 1) * (cell["recipe"] != "untuned"))
    return columns
