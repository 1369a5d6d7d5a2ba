"""The best method of a run for each task: to find errors, and to be calibrated; each beside the plain adapter."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from peftuq.cells import PREDICTION
from peftuq.evaluation.paired import Method, Paired, compare, ran
from peftuq.evaluation.selection import Long, Row, ordered, over_seeds, select

PLAIN, RESPONSE = "point", "sr"  # the adapter on its own, and its softmax response
GOALS = {"error detection": "auroc", "calibration": "ece_15"}


class Best(NamedTuple):
    """The method with the best mean of a goal's metric over seeds, on a dataset's own test set.

    `paired`: it against the plain prediction, or its softmax response, of the same recipe; None for that one itself,
    and where the run has it not.
    """

    goal: str
    metric: str
    model: str
    dataset: str
    method: Method
    value: float
    paired: Paired | None


def best(table: Long, run: Mapping[str, Any], results: str, resamples: int) -> Iterator[Best]:
    """For each model and dataset the best by each of GOALS. `table`: the long table, `run`: `cells.json`."""
    rows = over_seeds(select(table, {"eval": ["test"]}), GOALS.values())
    tasks = dict.fromkeys((row.key["model"], row.key["dataset"]) for row in rows)
    for model, dataset in tasks:
        here = [row for row in rows if (row.key["model"], row.key["dataset"]) == (model, dataset)]
        alone = _alone(run, model, dataset)
        for goal, metric in GOALS.items():
            if found := _first(here, metric):
                paired = _against_plain(alone, results, found, metric, resamples)
                yield Best(goal, metric, model, dataset, _method(found), found.metrics[metric].mean, paired)


def _alone(run: Mapping[str, Any], model: str, dataset: str) -> dict[str, Any]:
    """The run with the cells of one task, and their own test set alone."""
    cells = [{**c, "evals": ["test"]} for c in run["cells"] if (c["model"], c["dataset"]) == (model, dataset)]
    return {**run, "cells": cells}


def _first(rows: Sequence[Row], metric: str) -> Row | None:
    """The best row; of equals the plain one, for a method that changes nothing is not better."""
    rows = ordered(rows, metric)
    plain = [row for row in rows if row.metrics[metric].mean == rows[0].metrics[metric].mean and _is_plain(row)]
    return next(iter(plain or rows), None)


def _is_plain(row: Row) -> bool:
    return row.key["predictive"] == PLAIN and row.key["method"] in (PREDICTION, RESPONSE)


def _method(row: Row) -> Method:
    variant = None if row.key["method"] == PREDICTION else row.key["method"]
    return Method(row.key["recipe"], row.key["predictive"], variant)


def _against_plain(run: dict[str, Any], results: str, row: Row, metric: str, resamples: int) -> Paired | None:
    method = _method(row)
    plain = Method(method.recipe, PLAIN, RESPONSE if method.variant else None)
    if _is_plain(row) or not ran(run, plain):
        return None
    return next(compare(run, results, (method, plain), metric, resamples), None)
