"""Which rows of a run's table of metrics a command is about."""

import argparse
from collections.abc import Sequence
from typing import Any

from peftuq.cells import PREDICTION

FILTERS = ("suite", "model", "dataset", "eval", "recipe", "predictive", "score", "metric")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_results(parser)
    for name in FILTERS:
        parser.add_argument(
            f"--{name}", nargs="+", default=[], metavar="NAME", help=_HELP.get(name, f"of these {name}s")
        )


_HELP = {
    "eval": "evaluation sets: datasets, or test for each dataset's own (the default)",
    "score": f"scores, or single variants of them; {PREDICTION}: the predictive distribution itself",
    "metric": "of these metrics",
}


def add_results(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--results", default="results", help="the run's folder of results")


def selected(args: argparse.Namespace, metrics: Sequence[str] = ()) -> dict[str, list[Any]]:
    """The long table of the run, its rows those that the arguments ask for, and of `metrics`, if these are given.

    Raises `UserError` for a name that the run has not.
    """
    from peftuq.evaluation import selection

    table = selection.read(args.results)
    scores = [variant for score in args.score for variant in selection.variants(args.results, score)]
    asked = {name: getattr(args, name) for name in FILTERS if name not in ("score", "eval", "metric")}
    here = selection.select(table, {**asked, "eval": args.eval or ["test"], "method": scores})
    there = set(here["metric"])
    return selection.select(here, {"metric": [name for name in metrics if name in there] or list(args.metric)})
