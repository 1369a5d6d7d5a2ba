"""Made-up ensembles that overfit: members' answers after every epoch, traced by the workflow's own code."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from peftuq import artifacts, files, labels
from peftuq.artifacts import Record, RecordFile, SampleFile
from peftuq.evaluation import gather, training_dynamics
from peftuq.evaluation import rows as metrics_of
from peftuq.paths import Paths
from peftuq.predictives import checkpoint_ensemble, ensemble
from peftuq.report.ensembles.traces import Trace
from peftuq.scores import information, softmax

# Of a part: how hard it is (0: never wrong) and how many options its questions have.
PARTS = {"train": (0.3, 5), "valid": (0.8, 5), "test": (0.8, 5), "mmlu_stem": (1.6, 4), "mmlu_social": (1.0, 4)}
UNLABELLED: set[str] = set()  # those of them without labels
INFORMATION = ["mutual_information", "expected_entropy", "vote_disagreement"]


def said(part: str, epoch: int, member: int, n: int, classes: int = 5) -> Record:
    """Logits of a member after an epoch: ever more confident, and on what it cannot know its own opinion."""
    hard, options = PARTS.get(part, (1.0, classes))
    options = min(options, classes)
    task = np.random.default_rng([len(part), ord(part[-1])])
    label = task.integers(options, size=n)
    known = task.gamma(2.0, 1.0, size=n) - hard
    own = np.random.default_rng([member, len(part), ord(part[-1])]).normal(size=(n, options))
    logits = np.full((n, classes), -np.inf, dtype=np.float32)
    doubt = np.maximum(0.3, 1.2 - 0.5 * known)[:, None]
    logits[:, :options] = epoch**0.8 * (known[:, None] * np.eye(options)[label] + doubt * own)
    h = np.zeros((n, 3), dtype=np.float32)
    mass = task.uniform(0.9, 1.0, size=n).astype(np.float32)
    if part in UNLABELLED:
        label = np.full(n, labels.UNLABELLED)
    return Record(np.arange(n), label, logits, h, answer_mass=mass)


def epoch_files(
    folder: Path, members: int, epochs: int, parts: Sequence[str] = tuple(PARTS), n: int = 400, classes: int = 5
) -> list[artifacts.EpochFile]:
    paths = [folder / f"member{member}.safetensors" for member in range(members)]
    for member, path in enumerate(paths):
        written = [{part: said(part, e, member, n, classes) for part in parts} for e in range(1, epochs + 1)]
        artifacts.write_epochs(path, written)
    return [artifacts.EpochFile(path) for path in paths]


def write_trace(found: Sequence[artifacts.EpochFile], sizes: list[int], curves: Path, examples: Path) -> None:
    shown = 5 if 5 in sizes else max(sizes)
    files.write_json(curves, training_dynamics.curves(found, sizes))
    files.write_arrays(examples, training_dynamics.examples(found, shown), training_dynamics.facts(found, shown))


def a_trace(folder: Path, sizes: list[int], epochs: int, **of: Any) -> Trace:
    curves, examples = folder / "trace.json", folder / "trace.safetensors"
    write_trace(epoch_files(folder, max(sizes), epochs, **of), sizes, curves, examples)
    return Trace("csqa", files.read_json(curves), files.ArrayFile(examples))


# -- a whole run --------------------------------------------------------------------------------------------

SCORES = {"softmax": ["sr", "entropy", "margin"], "information": INFORMATION}
_RECIPE = {
    "version": 1,
    "adapter": {"targets": ["q", "v"], "rank": 8, "alpha": 32, "dropout": 0},
    "optimiser": {"lr": 5e-6, "batch_size": 8, "epochs": 3},
    "prior": {"over": "factors", "half_lambda": 1.0, "scale": "posterior"},
    "epoch_records": 1000,
}
SHIFTS = {"csqa": ["mmlu_stem", "mmlu_social"], "snippets2_choice": ["tweets2_choice"]}
OPTIONS = {"csqa": 5, "mmlu_stem": 4, "mmlu_social": 4, "snippets2_choice": 2, "tweets2_choice": 2}


def recipe(half_lambda: float = 1.0) -> dict[str, Any]:
    return {**_RECIPE, "prior": {**_RECIPE["prior"], "half_lambda": half_lambda}}


def cells_of(grid: Sequence[tuple[str, str, str]], recipes: dict[str, Any], size: int, seeds: int) -> dict[str, Any]:
    """cells.json of (model, dataset, recipe): points and checkpoint ensembles of all seeds, one ensemble."""
    cells = []
    for setting in grid:
        alone = [("point", seed, ["softmax"]) for seed in range(seeds)]
        last = [("checkpoint_ensemble-2", seed, list(SCORES)) for seed in range(seeds)]
        for predictive, seed, scores in (*alone, (f"ensemble-{size}", 0, list(SCORES)), *last):
            cell = dict(zip(("model", "dataset", "recipe"), setting, strict=True))
            cell |= {"seed": seed, "predictive": predictive, "scores": scores, "suites": ["ensembles"]}
            cells.append({**cell, "evals": ["test", *SHIFTS.get(setting[1], [])]})
    datasets = dict.fromkeys(name for _, dataset, _ in grid for name in (dataset, *SHIFTS.get(dataset, [])))
    samplers = {"ensemble": {"needs": ["members"]}, "checkpoint_ensemble": {"needs": []}}
    return {
        "suites": {"ensembles": {"version": 1, "title": "LoRA ensembles", "sections": ["ensembles"]}},
        "cells": cells,
        "models": {model: _model(model) for model, _, _ in grid},
        "datasets": {name: _dataset(name) for name in datasets},
        "recipes": recipes,
        "methods": {name: {"version": 1, "params": {}, "variants": v} for name, v in SCORES.items()}
        | {name: {"version": 1, "params": {}, **more} for name, more in samplers.items()},
        "limit": {},
        "limits": {},
    }


def _model(name: str) -> dict[str, Any]:
    titles = {"smollm2": "SmolLM2-135M-Instruct", "mistral_7b": "Mistral-7B"}
    return {"title": titles[name], "kind": "decoder", "licence": "Apache-2.0", "note": "", "paper_names": {}}


def _dataset(name: str) -> dict[str, Any]:
    classes = list("ABCDE"[: OPTIONS[name]])
    return {"title": name, "kind": "choice", "origin": "", "licence": "MIT", "classes": classes,
            "labelled": name not in UNLABELLED}  # fmt: skip


DEMO = [("mistral_7b", "csqa", "lora_map"), ("smollm2", "snippets2_choice", "lora_map")]


def results(
    folder: Path,
    grid: Sequence[tuple[str, str, str]] = DEMO,
    recipes: dict[str, Any] | None = None,
    sizes: Sequence[int] = (1, 5, 10),
    epochs: int = 3,
    n: int = 150,
) -> dict[str, str]:
    """Write a whole results folder of ensembles; returns the arguments of `Run.read`."""
    paths, size = Paths(str(folder)), 5 if 5 in sizes else max(sizes)
    described = cells_of(grid, recipes or {"lora_map": recipe()}, size, seeds=2)
    files.write_json(paths.cells, described)
    for index, setting in enumerate(grid):
        evals = ["test", *SHIFTS[setting[1]]]
        classes = max(OPTIONS[name] for name in (setting[1], *evals[1:]))
        epochs_folder = folder / "epochs" / str(index)
        parts = ("train", "valid", *evals)
        found = epoch_files(epochs_folder, max(sizes), epochs, parts, n, classes)
        write_trace(found, list(sizes), Path(paths.trace(*setting)), Path(paths.trace_examples(*setting)))
        head = artifacts.Head(np.eye(classes, 3, dtype=np.float32))
        for seed in range(size):
            last = {part: said(part, epochs, seed, n, classes) for part in parts}
            artifacts.write_records(paths.records(*setting, seed), last, head)
        records = [RecordFile(paths.records(*setting, seed)) for seed in range(size)]
        pooled = {f"ensemble-{size}": (0, ensemble, records, size)}
        if epochs > 1:
            pooled |= {("checkpoint_ensemble-2", s): (s, checkpoint_ensemble, [found[s]], 2) for s in range(2)}
        for name, (seed, module, inputs, members) in pooled.items():
            name = name if isinstance(name, str) else name[0]
            samples, facts = module.predict(inputs, ["valid", *evals], {}, seed, members)
            artifacts.write_samples(paths.samples(*setting, seed, name), samples, facts)
    made = [cell for cell in described["cells"] if Path(paths.samples(*_key(cell))).is_file()]
    for cell in made:
        _write_metrics(paths, cell)
    files.write_columns(paths.metrics_table, gather.long_table(made, str(folder)))
    return {"cells": paths.cells, "metrics": paths.metrics_table, "results": str(folder)}


def _key(cell: dict[str, Any]) -> tuple:
    return tuple(cell[name] for name in ("model", "dataset", "recipe", "seed", "predictive"))


def _write_metrics(paths: Paths, cell: dict[str, Any]) -> None:
    key = _key(cell)
    samples, evals = SampleFile(paths.samples(*key)), cell["evals"]
    files.write_json(paths.metrics(*key, "prediction"), {"rows": metrics_of.prediction_rows(samples, evals)})
    for name in cell["scores"]:
        scores, _ = {"softmax": softmax, "information": information}[name].score(samples, evals, {}, 0)
        here = [samples[part] for part in evals]
        columns: dict[str, Any] = {
            "eval": [part for part, s in zip(evals, here, strict=True) for _ in s.id],
            "id": np.concatenate([s.id for s in here]),
            "error": [error for s in here for error in s.errors],
        }
        columns |= {v: np.concatenate([by_part[part] for part in evals]) for v, by_part in scores.items()}
        artifacts.write_scores(paths.scores(*key, name), columns, {})
        written = artifacts.read_scores(paths.scores(*key, name))
        files.write_json(paths.metrics(*key, name), {"rows": metrics_of.score_rows(written, evals, [])})
