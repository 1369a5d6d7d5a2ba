"""From one metrics file a cell to one long table a run."""

from collections.abc import Callable, Sequence
from typing import Any

from peftuq.cells import PREDICTION
from peftuq.errors import UserError
from peftuq.files import read_json
from peftuq.paths import Paths

COLUMNS = ("suite", "model", "dataset", "eval", "recipe", "predictive", "method", "seed", "metric", "value")


def long_table(
    cells: Sequence[dict[str, Any]], results: str, check: Callable[[str], None] = lambda path: None
) -> dict[str, list]:
    """Columns of the long table, a row per (suite, cell, eval, method, metric), in the order of the cells.

    `eval` is the dataset evaluated on: the training dataset's own name stands for its test split. An undefined
    metric has the value None. `check` sees every file before it is read.
    """
    paths = Paths(results)
    columns: dict[str, list] = {name: [] for name in COLUMNS}
    for cell in cells:
        key = [cell[name] for name in ("model", "dataset", "recipe", "seed", "predictive")]
        for score in (PREDICTION, *cell["scores"]):
            path = paths.metrics(*key, score)
            check(path)
            for row in read_json(path)["rows"]:
                named = {**cell, **row, "eval": cell["dataset"] if row["eval"] == "test" else row["eval"]}
                for suite in cell["suites"]:
                    for name in COLUMNS:
                        columns[name].append(suite if name == "suite" else named[name])
    _check_keys(columns)
    return columns


def _check_keys(columns: dict[str, list]) -> None:
    """Raises `UserError` for two values of one metric."""
    seen: set[tuple] = set()
    for key in zip(*(columns[name] for name in COLUMNS[:-1]), strict=True):
        if key in seen:
            named = ", ".join(f"{name} {value}" for name, value in zip(COLUMNS, key, strict=False))
            raise UserError(
                f"metrics: two values of one metric ({named}): rename a score's variant or an evaluation set"
            )
        seen.add(key)
