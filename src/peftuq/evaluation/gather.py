"""From one metrics file a cell to one long table a run."""

from collections.abc import Sequence
from typing import Any

from peftuq.cells import PREDICTION
from peftuq.files import read_json
from peftuq.paths import Paths

COLUMNS = ("suite", "model", "dataset", "eval", "recipe", "predictive", "method", "seed", "metric", "value")


def long_table(cells: Sequence[dict[str, Any]], results: str) -> dict[str, list]:
    """Columns of the long table, a row per (suite, cell, eval, method, metric), in the order of the cells.

    `eval` is the dataset evaluated on: the training dataset's own name stands for its test split. An undefined
    metric has the value None.
    """
    paths = Paths(results)
    columns: dict[str, list] = {name: [] for name in COLUMNS}
    for cell in cells:
        key = [cell[name] for name in ("model", "dataset", "recipe", "seed", "predictive")]
        for score in (PREDICTION, *cell["scores"]):
            for row in read_json(paths.metrics(*key, score))["rows"]:
                named = {**cell, **row, "eval": cell["dataset"] if row["eval"] == "test" else row["eval"]}
                for suite in cell["suites"]:
                    for name in COLUMNS:
                        columns[name].append(suite if name == "suite" else named[name])
    return columns
