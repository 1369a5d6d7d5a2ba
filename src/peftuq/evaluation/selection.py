"""Rows of a run's long table by what they are of, and their metrics over seeds."""

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from peftuq import files
from peftuq.errors import UserError
from peftuq.evaluation.gather import COLUMNS
from peftuq.metrics.evaluate import METRICS
from peftuq.metrics.ranks import average_ranks
from peftuq.paths import Paths

KEY = ("model", "dataset", "eval", "recipe", "predictive", "method")  # what a row over seeds is of
METHOD = ("predictive", "method")  # the part of it that is chosen
TASK = ("model", "dataset", "eval", "recipe")  # the part that is given
DEFAULT = ("accuracy", "nll", "ece_15", "auroc", "aurc")
Long = Mapping[str, Sequence[Any]]


class Value(NamedTuple):
    """Mean of a metric over `seeds`, and its sample standard deviation, None for fewer than two of them."""

    mean: float
    sd: float | None
    seeds: list[int]


class Row(NamedTuple):
    """Metrics of one method on one evaluation set; a metric that is undefined for every seed is absent."""

    key: dict[str, str]
    metrics: dict[str, Value]


def read(results: str) -> Long:
    """The long table of a run. Raises `UserError` if it has none that can be read."""
    path = Path(Paths(results).metrics_table)
    if not path.is_file():
        raise UserError(f"{path}: there is no such file: name a finished run's folder with --results")
    try:
        table = files.read_columns(path)
    except (ValueError, OSError) as error:  # of pyarrow
        raise UserError(f"{path}: cannot be read ({_first_line(error)}): delete it and run again") from error
    missing = [name for name in COLUMNS if name not in table]
    if missing:
        raise UserError(f"{path}: has no column {', '.join(missing)}: not a run's table of metrics")
    return table


def cells(results: str) -> dict[str, Any]:
    """The cells of a run and what their names stand for. Raises `UserError` if it has none that can be read."""
    path = Path(Paths(results).cells)
    if not path.is_file():
        raise UserError(f"{path}: there is no such file: name a finished run's folder with --results")
    try:
        found: dict[str, Any] = files.read_json(path)
    except ValueError as error:
        raise UserError(f"{path}: not JSON ({error}): delete it and run again") from error
    if not isinstance(found, dict) or not {"cells", "methods", "datasets"} <= found.keys():
        raise UserError(f"{path}: has no cells, methods and datasets: not a run's list of cells")
    return found


def _first_line(error: Exception) -> str:
    return str(error).split("\n")[0]


def variants(results: str, score: str) -> list[str]:
    """Columns `method` that a score fills: those it declares in the run, or the name itself."""
    found: list[str] = cells(results)["methods"].get(score, {}).get("variants", [score])
    return found


def select(table: Long, asked: Mapping[str, Sequence[str]]) -> dict[str, list[Any]]:
    """The rows whose columns have one of the values asked for; a column without any has them all.

    The evaluation set "test" is every dataset's own. Raises `UserError` for a value that no row has.
    """
    rows = list(range(len(table["metric"])))
    for column, values in asked.items():
        wanted = set(values)
        here = {str(table[column][n]) for n in rows}
        for value in values:
            if value not in here and (column, value) != ("eval", "test"):
                option = "score" if column == "method" else column
                raise UserError(f"--{option} {value}: the run has none: choose from {', '.join(sorted(here))}")
        own = column == "eval" and "test" in wanted
        if wanted:
            rows = [n for n in rows if table[column][n] in wanted or (own and table["dataset"][n] == table["eval"][n])]
    return {name: [table[name][n] for n in rows] for name in COLUMNS}


def over_seeds(table: Long, metrics: Iterable[str]) -> list[Row]:
    """A row a method and evaluation set, in the table's order, with its metrics over seeds.

    A cell of two suites counts once.
    """
    wanted, found = set(metrics), dict[tuple[str, ...], dict[str, dict[int, float]]]()
    for *key, metric, seed, value in zip(*(table[name] for name in (*KEY, "metric", "seed", "value")), strict=True):
        if metric in wanted and value is not None and not math.isnan(value):
            found.setdefault(tuple(key), {}).setdefault(metric, {})[int(seed)] = float(value)
    return [
        Row(dict(zip(KEY, key, strict=True)), {name: _value(by_seed) for name, by_seed in of.items()})
        for key, of in found.items()
    ]


def _value(by_seed: Mapping[int, float]) -> Value:
    values, mean = list(by_seed.values()), sum(by_seed.values()) / len(by_seed)
    spread = sum((value - mean) ** 2 for value in values)
    sd = math.sqrt(spread / (len(values) - 1)) if len(values) > 1 else None
    return Value(mean, sd, sorted(by_seed))


def ordered(rows: Iterable[Row], metric: str) -> list[Row]:
    """The rows that have a metric, the best first; of a nominal coverage, the largest."""
    sign = 1 if METRICS[metric]["better"] == "lower" else -1
    return sorted((row for row in rows if metric in row.metrics), key=lambda row: sign * row.metrics[metric].mean)


def leaderboard(rows: Sequence[Row], metric: str) -> dict[str, Any]:
    """Tasks (model, dataset, eval, recipe), each with its methods from the best by `metric`.

    `mean_rank`: of the methods that every task has, over tasks; 1 for the best, equal values share the mean of theirs.
    """
    by_task: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        by_task.setdefault(tuple(row.key[name] for name in TASK), []).append(row)
    values: dict[str, dict[Hashable, float | None]] = {}
    for task, of_task in by_task.items():
        for row in ordered(of_task, metric):
            values.setdefault("/".join(row.key[name] for name in METHOD), {})[task] = row.metrics[metric].mean
    everywhere = {name: of for name, of in values.items() if len(of) == len(by_task)}
    better = METRICS[metric]["better"]
    ranks = average_ranks(everywhere, "lower" if better == "lower" else "higher").mean if everywhere else {}
    return {
        "version": 1,
        "metric": metric,
        "better": better,
        "meaning": METRICS[metric]["meaning"],
        "mean_rank": dict(sorted(ranks.items(), key=lambda item: item[1])),
        "tasks": [
            {**dict(zip(TASK, task, strict=True)), "methods": [_entry(row) for row in ordered(of_task, metric)]}
            for task, of_task in by_task.items()
        ],
    }


def _entry(row: Row) -> dict[str, Any]:
    return {name: row.key[name] for name in METHOD} | {"metrics": {n: v._asdict() for n, v in row.metrics.items()}}
