"""A finished run's metrics as a table, a row a method, over seeds.

Without --metric: accuracy, NLL, ECE, error-AUROC and AURC. Several seeds are shown as mean ± standard deviation.

examples:
  peftuq show                                              every method on every dataset's own test set
  peftuq show --model minilm --score softmax adue --sort auroc
  peftuq show --score prediction --metric nll ece_15 brier --eval tweets2
  peftuq show --predictive temperature --json
"""

import argparse
from collections.abc import Iterable
from typing import TYPE_CHECKING

from peftuq.cli import _selection, _shared

if TYPE_CHECKING:
    from peftuq.evaluation.selection import Row, Value


def add_arguments(parser: argparse.ArgumentParser) -> None:
    _selection.add_arguments(parser)
    parser.add_argument("--sort", metavar="METRIC", help="the best by this metric first")
    _shared.add_json(parser)


def run(args: argparse.Namespace) -> Iterable[str]:
    wanted = metrics(args)
    found = rows(args, wanted, args.sort)
    if args.json:
        return _shared.as_json(
            [row.key | {name: value._asdict() for name, value in row.metrics.items()} for row in found]
        )
    return text(found, wanted)


def metrics(args: argparse.Namespace) -> list[str]:
    """The metrics to show: those asked for, or a few of every kind, and the one to sort by.

    Raises `UserError` for one that there is not.
    """
    from peftuq.errors import UserError
    from peftuq.evaluation.selection import DEFAULT
    from peftuq.metrics.evaluate import METRICS

    if args.sort and args.sort not in METRICS:
        raise UserError(f"--sort {args.sort}: no metric; choose from {', '.join(METRICS)}")
    return list(dict.fromkeys([*(args.metric or DEFAULT), *([args.sort] if args.sort else [])]))


def rows(args: argparse.Namespace, wanted: list[str], sort: str | None) -> "list[Row]":
    """The rows that the arguments ask for, the best by `sort` first. Raises `UserError` if there are none."""
    from peftuq.errors import UserError
    from peftuq.evaluation import selection

    found = selection.over_seeds(_selection.selected(args, wanted), wanted)
    found = selection.ordered(found, sort) if sort else found
    if not found:
        raise UserError(f"{args.results}: no row has {sort or ', '.join(wanted)} of what is asked for: ask for less")
    return found


def text(found: "list[Row]", wanted: list[str], form: str = "simple") -> list[str]:
    """The rows as a table; a column that is the same in all stands above it."""
    from peftuq.evaluation.selection import KEY

    names = [name for name in KEY if len({row.key[name] for row in found}) > 1]
    same = [f"{name} {found[0].key[name]}" for name in KEY if name not in names]
    shown = [name for name in wanted if any(name in row.metrics for row in found)]
    cells = [[*(row.key[name] for name in names), *(_cell(row.metrics.get(name)) for name in shown)] for row in found]
    lines = _shared.table([*names, *shown], cells, len(names), form)
    return [", ".join(same), "", *lines] if same and form == "simple" else lines


def _cell(value: "Value | None") -> str:
    if value is None:
        return ""
    return f"{value.mean:.4f}" + (f" ± {value.sd:.4f}" if value.sd is not None else "")
