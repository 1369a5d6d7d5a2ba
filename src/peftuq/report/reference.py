"""The numbers that the papers print, carried as data."""

import csv
from functools import cache
from importlib.resources import files
from typing import NamedTuple


class Printed(NamedTuple):
    """A number in a paper's table: mean over its runs and, where printed, their standard deviation, in per cent."""

    mean: float
    std: float | None


def rows_of(name: str) -> list[dict[str, str]]:
    """The rows of a file of printed numbers, by column."""
    with (files("peftuq.report") / "reference" / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _by_method(name: str) -> dict[tuple[str, str, str], Printed]:
    return {
        (row["model"], row["dataset"], row["method"]): Printed(float(row["mean"]), float(row["std"]))
        for row in rows_of(name)
    }


@cache
def adue_auroc() -> dict[tuple[str, str, str], Printed]:
    """(model, dataset, method) → error-AUROC ×100 of the AdUE paper's Tables 3, 4, 7 and 8 (Table 1 is among them)."""
    return _by_method("adue_auroc.csv")


@cache
def adue_accuracy() -> dict[tuple[str, str], Printed]:
    """(model, dataset) → accuracy in per cent, Table 6."""
    return {key[:2]: printed for key, printed in _by_method("adue_accuracy.csv").items()}


@cache
def adue_ranks() -> dict[tuple[str, str, str], float]:
    """(table, kind of model, method) → average rank over the paper's own settings, as printed.

    `table` is "Table 1" and so on; the kind is "encoder", "decoder", or "all" for Table 2.
    """
    return {(row["table"], row["kind"], row["method"]): float(row["rank"]) for row in rows_of("adue_ranks.csv")}


@cache
def uq4ct() -> dict[tuple[str, str, str, str, str, str], Printed]:
    """(table, model, trained on, evaluated on, method, metric) → the UQ4CT paper's Tables 1 to 6.

    Metrics are "accuracy" and "ece"; the paper repeats some settings in several tables, not always to the same digit.
    """
    names = ("table", "model", "train_dataset", "eval_dataset", "method", "metric")
    return {
        tuple(row[name] for name in names): Printed(float(row["mean"]), float(row["std"]) if row["std"] else None)
        for row in rows_of("uq4ct.csv")
    }
