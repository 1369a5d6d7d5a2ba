"""A folder of results like a run's, from predictions of another program: records, samples, scores, metrics.

Of a run's models, datasets and recipes it knows the names alone. All that logits suffice for is computed: predictives
that are fitted on them, and scores that read neither representations nor several members.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

from peftuq import artifacts, files
from peftuq.artifacts import Record, RecordFile, SampleFile
from peftuq.cells import PREDICTION, Cell
from peftuq.errors import UserError
from peftuq.evaluation.gather import long_table
from peftuq.evaluation.rows import prediction_rows, score_rows
from peftuq.labels import are_known
from peftuq.paths import Paths
from peftuq.plugins import Predictive, Score, load
from peftuq.predictives.protocol import FilePredictive
from peftuq.scores import returned
from peftuq.scores.protocol import ScoreModule

RECIPE = SUITE = "external"
TEST = "test"


class Plugins(NamedTuple):
    """Declarations of plug-ins by name, and the module of each."""

    scores: Mapping[str, Score]
    predictives: Mapping[str, Predictive]
    modules: Mapping[str, str]


def write(results: str, model: str, dataset: str, records: Mapping[str, Record], plugins: Plugins) -> None:
    """Fill the folder `results` from the records of `test` and, for all that is fitted, `valid`.

    Raises `UserError` where there is nothing to measure with: labels of neither, or a `valid` without labels.
    """
    parts = list(records)
    labelled = {part: are_known(record.label) for part, record in records.items()}
    if not labelled.get("valid", labelled[TEST]):
        raise UserError("no sample has a target: give a log with targets, which metrics and fits need")
    paths, point = Paths(results), Cell(model, dataset, RECIPE, 0, "point")
    artifacts.write_records(paths.records(*point[:-1]), records, None)
    source = RecordFile(paths.records(*point[:-1]))
    cells = [_cell(point, source, paths, plugins, parts)]
    for name, declared in plugins.predictives.items():
        if suffices(declared, parts):
            cell = point._replace(predictive=name)
            predict = load(plugins.modules[name], FilePredictive[RecordFile]).predict
            samples, facts = predict([source], parts, declared.params, 0, None)
            artifacts.write_samples(paths.samples(*cell), samples, facts)
            cells.append(_cell(cell, None, paths, plugins, parts))
    _tables(paths, cells, plugins, dataset, labelled[TEST])


def suffices(declared: Score | Predictive, parts: Sequence[str]) -> bool:
    """Whether logits of `parts`, from one adapter, are all that a plug-in reads."""
    if isinstance(declared, Predictive) and (declared.reads != "records" or declared.sized):
        return False
    return all(need == "valid" and need in parts for need in declared.needs)


def _cell(
    cell: Cell, records: RecordFile | None, paths: Paths, plugins: Plugins, parts: Sequence[str]
) -> dict[str, Any]:
    """A cell as `cells.json` has it, once its scores and metrics are written. `records`: for scores that read them."""
    samples, done = SampleFile(paths.samples(*cell)), []
    rows = prediction_rows(samples, [TEST], "valid" if "valid" in parts else None)
    files.write_json(paths.metrics(*cell, PREDICTION), {"rows": rows})
    for name, declared in plugins.scores.items():
        inputs = samples if declared.reads == "samples" else records
        if inputs is not None and suffices(declared, parts):
            variants, diagnostics = load(plugins.modules[name], ScoreModule[Any]).score(
                inputs, [TEST], declared.params, cell.seed
            )
            path = paths.scores(*cell, name)
            artifacts.write_scores(path, returned.columns(variants, {TEST: samples[TEST]}), diagnostics)
            rows = score_rows(artifacts.read_scores(path), [TEST], declared.probabilities)
            files.write_json(paths.metrics(*cell, name), {"rows": rows})
            done.append(name)
    return {**cell._asdict(), "scores": done, "evals": [TEST], "suites": [SUITE]}


def _tables(paths: Paths, cells: list[dict[str, Any]], plugins: Plugins, dataset: str, labelled: bool) -> None:
    methods = {name: asdict(plugins.scores[name]) for cell in cells for name in cell["scores"]}
    run = {"suites": {SUITE: {}}, "datasets": {dataset: {"labelled": labelled}}, "methods": methods, "cells": cells}
    files.write_json(paths.cells, run)
    table = long_table(cells, paths.results)
    files.write_columns(paths.metrics_table, table)
    files.write_csv(paths.metrics_csv, table)
