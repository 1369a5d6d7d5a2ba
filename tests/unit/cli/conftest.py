"""A finished run of two models on one task: seeds, evaluation sets and scores, from logits drawn here."""

from pathlib import Path

import numpy as np
import pytest

from peftuq import artifacts, cli, files
from peftuq.artifacts import Head, Record, RecordFile
from peftuq.evaluation import gather, rows
from peftuq.paths import Paths
from peftuq.plugins import Score
from peftuq.predictives import temperature
from peftuq.scores import energy, returned, softmax

N, CLASSES, SEEDS = 120, 3, (0, 1)
SCORES: dict[str, tuple[Score, object]] = {"softmax": (softmax.SCORE, softmax), "energy": (energy.SCORE, energy)}


def drawn(seed: int) -> Record:
    draw = np.random.default_rng(seed)
    label = draw.integers(CLASSES, size=N)
    logits = draw.normal(size=(N, CLASSES)) * 2
    logits[np.arange(N), label] += 1.5
    return Record(np.arange(N), label, logits.astype(np.float32), draw.normal(size=(N, 4)).astype(np.float32))


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    paths = Paths(str(folder / "results"))
    cells = [cell for m, model in enumerate(("one", "two")) for seed in SEEDS for cell in _cells(paths, model, m, seed)]
    methods = {name: {"variants": declared.variants} for name, (declared, _) in SCORES.items()}
    run = {"suites": {}, "datasets": {"words": {}, "other": {}}, "methods": methods, "cells": cells}
    files.write_json(paths.cells, run)
    table = gather.long_table(cells, paths.results)
    files.write_columns(paths.metrics_table, table)
    files.write_csv(paths.metrics_csv, table)
    return folder


def _cells(paths: Paths, model: str, m: int, seed: int):
    evals = ["test", "other"]
    records = {part: drawn(100 * m + 10 * seed + k) for k, part in enumerate(["valid", *evals])}
    # The test examples are the same for all seeds and models, as in every run.
    records = {p: Record(r.id, drawn(7).label, r.logits, r.h) for p, r in records.items()}
    path = paths.records(model, "words", "plain", seed)
    artifacts.write_records(path, records, Head(np.eye(CLASSES, 4, dtype=np.float32)))
    samples, _ = temperature.predict([RecordFile(path)], ["valid", *evals], {"bounds": (0.01, 100.0)}, 0, None)
    artifacts.write_samples(paths.samples(model, "words", "plain", seed, "temperature"), samples)
    for predictive in ("point", "temperature"):
        cell = (model, "words", "plain", seed, predictive)
        file = artifacts.SampleFile(paths.samples(*cell))
        files.write_json(paths.metrics(*cell, "prediction"), {"rows": rows.prediction_rows(file, evals)})
        names = ["softmax", "energy"] if predictive == "point" else ["softmax"]
        for name in names:
            declared, module = SCORES[name]
            inputs = file if declared.reads == "samples" else RecordFile(path)
            by_variant, _ = module.score(inputs, evals, declared.params, 0)
            columns = returned.columns(by_variant, {part: file[part] for part in evals})
            artifacts.write_scores(paths.scores(*cell, name), columns, {})
            found = rows.score_rows(artifacts.read_scores(paths.scores(*cell, name)), evals, declared.probabilities)
            files.write_json(paths.metrics(*cell, name), {"rows": found})
        yield {**dict(zip(("model", "dataset", "recipe", "seed", "predictive"), cell, strict=True)),
               "scores": names, "evals": evals, "suites": ["small", "again"]}  # fmt: skip


@pytest.fixture
def peftuq(run_folder, monkeypatch):
    """A command's lines, run in the folder of the run."""
    monkeypatch.chdir(run_folder)

    def call(*words: str) -> list[str]:
        args = cli.parser().parse_args(list(words))
        return list(args.run(args))

    return call
