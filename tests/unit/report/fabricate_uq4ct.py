"""A made-up run of the UQ4CT study: grids as plain data, and files as the rules leave them."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
from fabricate import VARIANTS

from peftuq import artifacts, files
from peftuq.evaluation import gather
from peftuq.evaluation import rows as metrics_of
from peftuq.paths import Paths
from peftuq.report import reference

ROWS = Path(reference.__file__).parent / "reference" / "uq4ct.csv"
MODELS = {"llama2-7b": "llama2_7b", "mistral-7b": "mistral_7b"}
TITLES = {
    "llama2_7b": "LLaMA-2-7B",
    "mistral_7b": "Mistral-7B-v0.1",
    "smollm2": "SmolLM2-135M-Instruct",
    "bert": "BERT",
}
SCORES = {**VARIANTS, "flu": ["flu_mean", "flu_last"]}
SCORES["information"] = ["mutual_information", "expected_entropy", "vote_disagreement"]
PREDICTIVES = {
    "temperature": {"reads": "records", "needs": ["valid"]},
    "ensemble": {"reads": "records", "needs": ["members"]},
    "mc_dropout": {"reads": "adapter", "needs": []},
    "laplace": {"reads": "laplace", "needs": []},
    "laplace_probit": {"reads": "laplace", "needs": []},
    "spuq": {"reads": "adapter", "needs": []},
}
DATASETS = {"sst5": ("classification", 5), "boolq_closed": ("choice", 2), "arc_easy": ("choice", 5)}

_ADAPTER = {"targets": ["q", "v"], "rank": 80, "alpha": 160, "dropout": 0.05, "top_layers": None, "mixture": None}
_MIXTURE = {"experts": 8, "top_k": 2, "experts_at": ["ffn"]}
_CALIBRATION = {"weight": 1.0, "schedule": "constant", "steps": 50, "flu_tokens": "mean"}


def recipe(rank: int = 80, mixture: dict | None = None, calibration: dict | None = None) -> dict[str, Any]:
    """`mixture` and `calibration`: what differs from the paper's."""
    adapter = {**_ADAPTER, "rank": rank, "mixture": None if mixture is None else {**_MIXTURE, **mixture}}
    loss = {"answer": "vocabulary", "balance": None if mixture is None else {"weight": 1.0}}
    loss["calibration"] = None if calibration is None else {**_CALIBRATION, **calibration}
    optimiser = {"lr": 2e-4, "batch_size": 16, "epochs": 2}
    return {"version": 1, "adapter": adapter, "optimiser": optimiser, "loss": loss, "prompt": "mixlora"}


BASE = {"version": 1, "adapter": None, "optimiser": None, "loss": {"answer": "vocabulary"}, "prompt": "mixlora"}
# Names that say nothing: the report must tell what they are from their content.
RECIPES = {
    "r0": BASE,
    "r1": recipe(16),
    "r2": recipe(80),
    "r3": recipe(16, {}),
    "r4": recipe(16, {}, {}),
    "r5": recipe(16, {}, {"schedule": "incremental"}),
    "r6": recipe(16, {}, {"flu_tokens": "last"}),
    **{f"b{beta:g}": recipe(16, {}, {"weight": beta}) for beta in (0.2, 0.5, 0.8, 1.2, 1.5, 1.8, 2.0)},
    **{f"k{k}": recipe(16, {"top_k": k}, {}) for k in (1, 3, 4, 5)},
    **{f"e{e}": recipe(16, {"experts": e}, {}) for e in (4, 16)},
}
# The paper's method → who it is here.
CELLS = {
    "LoRA": ("r2", "point"),
    "MC Drop": ("r2", "mc_dropout-10"),
    "Ensemble": ("r1", "ensemble-8"),
    "LA": ("r2", "laplace"),
    "MixLoRA": ("r3", "point"),
    "UQ4CT": ("r4", "point"),
    "UQ4CT_Incremental": ("r5", "point"),
    "SPUQ": ("r0", "spuq-5"),
    "UQ4CT beta=0": ("r3", "point"),
    "UQ4CT beta=1": ("r4", "point"),
    "UQ4CT top-k=2": ("r4", "point"),
}
CELLS |= {f"UQ4CT beta={beta:g}": (f"b{beta:g}", "point") for beta in (0.2, 0.5, 0.8, 1.2, 1.5, 1.8, 2.0)}
CELLS |= {f"UQ4CT top-k={k}": (f"k{k}", "point") for k in (1, 3, 4, 5)}


def rows() -> list[dict[str, str]]:
    """The csv's rows with the names of our models and datasets added: BoolQ is `boolq_closed`."""
    with open(ROWS, newline="") as file:
        found = list(csv.DictReader(file))
    here = {"boolq": "boolq_closed"}
    for row in found:
        row["trained"], row["tested"] = (here.get(row[k], row[k]) for k in ("train_dataset", "eval_dataset"))
    return found


def ours(row: dict[str, str]) -> float:
    """Value that `paper_run` measures for a row: 3 points more than the first row of the same cell and metric."""
    keys = ("model", "trained", "tested", "metric")
    cell = CELLS[row["method"]]
    same = (r for r in rows() if all(r[k] == row[k] for k in keys) and CELLS[r["method"]] == cell)
    return float(next(same)["mean"]) + 3


def cells_of(cells: list[dict[str, Any]], recipes: dict[str, dict] = RECIPES) -> dict[str, Any]:
    """cells.json around cells with the keys model, dataset, recipe, seed, predictive, scores and evals."""
    models = dict.fromkeys(cell["model"] for cell in cells)
    datasets = dict.fromkeys(name for cell in cells for name in (cell["dataset"], *cell["evals"][1:]))
    methods = {name: {"version": 1, "variants": v, "params": {}} for name, v in SCORES.items()}
    return {
        "suites": {"uq4ct": {"version": 1, "title": "UQ4CT", "sections": ["uq4ct"]}},
        "cells": [{**cell, "suites": ["uq4ct"]} for cell in cells],
        "models": {name: _model(name) for name in models},
        "datasets": {name: _dataset(name) for name in datasets},
        "recipes": {cell["recipe"]: recipes[cell["recipe"]] for cell in cells},
        "methods": methods | {name: {"version": 1, "params": {}, **facts} for name, facts in PREDICTIVES.items()},
        "limit": {"train": None, "valid": None, "test": None, "shift": None},
        "limits": {},
    }


def _model(name: str) -> dict[str, Any]:
    papers = {ours: theirs for theirs, ours in MODELS.items()}
    facts = {"licence": "-", "note": "", "paper_names": {"uq4ct": papers[name]} if name in papers else {}}
    return {"title": TITLES[name], "kind": "encoder" if name == "bert" else "decoder", **facts}


def _dataset(name: str) -> dict[str, Any]:
    kind, classes = DATASETS.get(name, ("choice", 4))
    return {"title": name, "kind": kind, "origin": "-", "licence": "-", "classes": list(map(str, range(classes)))}


def cell(setting: tuple, seed: int, predictive: str, evals: list[str], scores: list[str] = []) -> dict[str, Any]:
    names = ("model", "dataset", "recipe")
    return {**dict(zip(names, setting, strict=True)), "seed": seed, "predictive": predictive, "evals": evals,
            "scores": scores}  # fmt: skip


def long_table(values: list[tuple]) -> dict[str, list]:
    """The long table's columns from (model, dataset, eval, recipe, predictive, method, seed, metric, value)."""
    rows = [("uq4ct", *value) for value in values]
    return {name: [row[place] for row in rows] for place, name in enumerate(gather.COLUMNS)}


def paper_run(seeds: int = 2) -> tuple[dict[str, Any], dict[str, list]]:
    """Every cell of the paper: each seed's value about 3 points above its mean: 2 seeds, 1 point apart."""
    shifts: dict[tuple, list[str]] = {}
    values: dict[tuple, list[tuple]] = {}
    for row in rows():
        name, predictive = CELLS[row["method"]]
        setting = (MODELS[row["model"]], row["trained"], name)
        known = shifts.setdefault((*setting, predictive), [])
        if row["tested"] != row["trained"] and row["tested"] not in known:
            known.append(row["tested"])
        metric = {"accuracy": "accuracy", "ece": "ece_15"}[row["metric"]]
        key = (*setting[:2], row["tested"], name, predictive, metric)
        if key not in values:  # what stands in several tables is one cell
            values[key] = [
                (*key[:5], "prediction", seed, metric, (float(row["mean"]) + 2.5 + seed) / 100) for seed in range(seeds)
            ]
    cells = [cell(key[:3], seed, key[3], ["test", *on]) for key, on in shifts.items() for seed in range(seeds)]
    return cells_of(cells), long_table([row for found in values.values() for row in found])


# -- files ------------------------------------------------------------------------------------------------

SWEPT = [name for name in RECIPES if name[0] in "bke"]
CHOICE = {
    "r0": ["point", "spuq-5"],
    "r1": ["point", "ensemble-3", "ensemble-8"],
    "r2": ["point", "temperature", "mc_dropout-10", "laplace", "laplace_probit"],
    "r3": ["point", "temperature"],
    "r4": ["point", "temperature"],
    "r5": ["point"],
    "r6": ["point"],
}
# model, dataset, shift sets, recipe → predictives
GRID = [
    ("smollm2", "obqa", ["arc_easy", "mmlu_cs", "mmlu_law"], {**CHOICE, **{name: ["point"] for name in SWEPT}}),
    ("smollm2", "boolq_closed", [], CHOICE),
    ("llama2_7b", "obqa", ["arc_easy", "arc_challenge", "mmlu_cs", "mmlu_eng", "mmlu_law", "mmlu_health"], CHOICE),
    ("bert", "sst5", [], {"r2": ["point", "temperature"], "r3": ["point"], "r4": ["point"]}),
]
SMALL = [
    ("smollm2", "obqa", ["arc_easy", "mmlu_law"], {**CHOICE, "k1": ["point"], "b2": ["point"], "e4": ["point"]}),
    ("bert", "sst5", [], {"r2": ["point", "temperature"], "r3": ["point"], "r4": ["point"]}),
]
# (how right, how sure, how much a mixture's FLU knows) of a recipe
_SKILL = {"r0": (0.4, 1.0, 0), "r2": (1.5, 2.2, 0), "r1": (1.4, 2.2, 0), "r3": (1.5, 2.0, 0.1), "r4": (1.5, 1.2, 0.9)}


def results(folder: Path, grid: list[tuple] = GRID, seeds: int = 2, n: int = 60) -> dict[str, str]:
    """Write a results folder; returns the arguments of the report: cells, metrics, results."""
    paths, cells = Paths(str(folder)), []
    for index, (model, dataset, shifts, recipes) in enumerate(grid):
        evals = ["test", *shifts]
        for name, predictives in recipes.items():
            for seed in range(seeds):
                rng = np.random.default_rng([index, list(RECIPES).index(name), seed])
                here = [cell((model, dataset, name), seed, p, evals, _scores_of(name, p)) for p in predictives]
                _write_adapter(paths, here[0], n, rng)
                for found in here:
                    _write_cell(paths, found, rng)
                cells += here
    described = cells_of(cells)
    files.write_json(paths.cells, described)
    files.write_columns(paths.metrics_table, gather.long_table(described["cells"], str(folder)))
    return {"cells": paths.cells, "metrics": paths.metrics_table, "results": str(folder)}


def _scores_of(name: str, predictive: str) -> list[str]:
    if predictive == "point":
        flu = ["flu"] if RECIPES[name]["adapter"] and RECIPES[name]["adapter"]["mixture"] else []
        return ["softmax", *([] if name == "r0" else ["mahalanobis", "rde", "adue"]), *flu]
    return ["softmax"] + (["information"] if "-" in predictive else [])


def _write_adapter(paths: Paths, found: dict[str, Any], n: int, rng: np.random.Generator) -> None:
    """Records with FLU, times and the log of a training."""
    key = tuple(found[name] for name in ("model", "dataset", "recipe", "seed"))
    right, sure, knows = _SKILL.get(found["recipe"], _SKILL["r4"])
    mixture = (RECIPES[found["recipe"]]["adapter"] or {}).get("mixture")
    records, classes = {}, max(DATASETS.get(name, ("", 4))[1] for name in (found["dataset"], *found["evals"][1:]))
    for place, part in enumerate(("valid", *found["evals"])):
        label = np.random.default_rng(place).integers(classes, size=n)
        strength = rng.gamma(2.0, right / (1 + 0.25 * max(place - 1, 0)), size=n)
        logits = (sure * (rng.normal(size=(n, classes)) + strength[:, None] * np.eye(classes)[label])).astype(
            np.float32
        )
        correct = logits.argmax(axis=1) == label
        low = mixture["top_k"] / mixture["experts"] if mixture else 0
        means = low + (1 - low) * (0.15 + 0.7 * knows * rng.beta(2 + 4 * correct, 3 - correct))
        flu = np.clip(means[:, None, None] + 0.03 * rng.normal(size=(n, 3, 2)), low, 1).astype(np.float32)
        h = rng.normal(size=(n, 4)).astype(np.float32)
        records[part] = artifacts.Record(np.arange(n), label, logits, h, flu=flu if mixture else None)
    _write_scores(paths, key, records)
    artifacts.write_records(paths.records(*key), records, artifacts.Head(np.eye(classes, 4, dtype=np.float32)))
    slower = 1.6 if mixture else 1.0
    facts = {"examples": n * len(records), "seconds": 0.02 * slower * n * len(records), "device": "cuda"}
    files.write_json(paths.facts(paths.records(*key)), facts)
    if found["recipe"] != "r0":
        facts = {"trainable": 4000000 if slower > 1 else 250000 * RECIPES[found["recipe"]]["adapter"]["rank"]}
        facts |= {"all": 10**8, "seconds": 100 * slower + key[-1], "dtype": "torch.bfloat16", "device": "cuda"}
        files.write_json(paths.training(*key), {**facts, "examples": 4 * n})
        files.write_lines(paths.training_log(*key), [])


def _write_scores(paths: Paths, key: tuple, records: dict[str, artifacts.Record]) -> None:
    """Scores of an adapter itself: 1 less the largest probability and, of a mixture, 1 less FLU, on the test split."""
    record = records["test"]
    found = {"softmax": {"sr": 1 - artifacts.softmax(record.logits).max(axis=1)}}
    if record.flu is not None:
        found["flu"] = dict(zip(SCORES["flu"], 1 - record.flu.mean(axis=1).T, strict=True))
    error = record.logits.argmax(axis=1) != record.label
    fixed = {"eval": ["test"] * len(error), "id": record.id, "error": error}
    for score, variants in found.items():
        artifacts.write_scores(paths.scores(*key, "point", score), fixed | variants, {})


def _write_cell(paths: Paths, found: dict[str, Any], rng: np.random.Generator) -> None:
    key = tuple(found[name] for name in ("model", "dataset", "recipe", "seed", "predictive"))
    name, _, size = key[-1].partition("-")
    if name != "point":
        records = artifacts.RecordFile(paths.records(*key[:-1]))
        softer = {"laplace": 0.6, "temperature": 0.7, "ensemble": 0.75}.get(name, 0.9)
        samples = {
            part: artifacts.Samples(r.id, r.label, _probs(softer * r.logits, int(size or 1), rng))
            for part in records.parts
            for r in [records[part]]
        }
        artifacts.write_samples(paths.samples(*key), samples)
        facts = {"examples": 100, "seconds": 0.02 * 100 * int(size or 3)}
        if PREDICTIVES[name]["reads"] == "adapter":
            files.write_json(Path(paths.samples(*key)).with_suffix(".json"), facts)
        if PREDICTIVES[name]["reads"] == "laplace":
            files.write_json(Path(paths.laplace(*key[:-1])).with_suffix(".json"), facts)
    samples = artifacts.SampleFile(paths.samples(*key))
    rows = metrics_of.prediction_rows(samples, found["evals"])
    files.write_json(paths.metrics(*key, "prediction"), {"rows": rows})
    for score in found["scores"]:
        rows = [row for part in found["evals"] for row in _score_rows(key, part, score, rng)]
        files.write_json(paths.metrics(*key, score), {"rows": rows})


def _probs(logits: np.ndarray, members: int, rng: np.random.Generator) -> np.ndarray:
    noise = rng.normal(size=(members, *logits.shape)) * (members > 1)
    return artifacts.softmax(logits + noise)


def _score_rows(key: tuple, part: str, score: str, rng: np.random.Generator) -> list[dict[str, Any]]:
    rows = []
    for index, variant in enumerate(SCORES[score]):
        base = {"flu": 0.74, "adue": 0.76, "information": 0.6}.get(score, 0.72 - 0.02 * index)
        values = {"auroc": base, "aurc": 0.2, "prr": 0.4, "error_ece_15": 0.1 if key[2] == "r4" else 0.3}
        if part != "test":
            values["ood_auroc"] = 0.9 if part == "arc_easy" else 0.7  # not the grid's order
        rows += [
            {"eval": part, "method": variant, "metric": metric, "value": value + 0.02 * rng.random()}
            for metric, value in values.items()
        ]
    return rows
