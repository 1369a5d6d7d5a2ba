"""Which rows of a run's table of metrics a command is about."""

import argparse
from typing import Any

from peftuq.cells import PREDICTION

FILTERS = ("suite", "model", "dataset", "eval", "recipe", "predictive", "score", "metric")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_results(parser)
    for name in FILTERS:
        parser.add_argument(f"--{name}", nargs="+", default=[], metavar="NAME", help=_HELP.get(name, f"of these {name}s"))


_HELP = {
    "eval": "evaluation sets: datasets, or test for each dataset's own (the default)",
    "score": f"scores, or single variants of them; {PREDICTION}: the predictive distribution itself",
    "metric": "of these metrics",
}


def add_results(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--results", default="results", help="the run's folder of results")


def selected(args: argparse.Namespace) -> dict[str, list[Any]]:
    """The long table of the run, its rows those that the arguments ask for. Raises `UserError` if there are none."""
    from peftuq.evaluation import selection

    table = selection.read(args.results)
    scores = [variant for score in args.score for variant in selection.variants(args.results, score)]
    asked = {name: getattr(args, name) for name in FILTERS if name not in ("score", "eval")}
    return selection.select(table, {**asked, "eval": args.eval or ["test"], "method": scores})


def metrics(args: argparse.Namespace) -> list[str]:
    """The metrics to show: those asked for, in their order, or a few of every kind."""
    from peftuq.evaluation import selection

    return list(args.metric or selection.DEFAULT)
