"""Two methods of a finished run, in every cell that has both: paired difference, with its 95 % interval.

A method is [recipe:]predictive[/score]. Without recipes both are compared within each recipe that has them. Both are
measured on the same resamples of the test examples and over the seeds that both have (paired bootstrap).

examples:
  peftuq compare point/sr point/adue                    which finds errors better, in each cell
  peftuq compare point temperature --metric ece_15      what temperature scaling does to calibration
  peftuq compare uq4ct_demo:point/sr mixlora_demo:point/sr --metric aurc --json
"""

import argparse
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from peftuq.cli import _selection, _shared
from peftuq.errors import UserError

if TYPE_CHECKING:
    from peftuq.evaluation.paired import Paired


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("a", metavar="A", help="a method: [recipe:]predictive[/score]")
    parser.add_argument("b", metavar="B", help="another")
    _selection.add_results(parser)
    parser.add_argument("--metric", help="default: auroc of scores, nll of predictives")
    parser.add_argument("--resamples", type=_shared.count, default=1000, help="of the bootstrap")
    _shared.add_json(parser)


def run(args: argparse.Namespace) -> Iterable[str]:
    from peftuq.evaluation import paired
    from peftuq.evaluation.selection import cells

    methods = (paired.Method.parse(args.a), paired.Method.parse(args.b))
    metric = args.metric or paired.default_metric(methods)
    paired.check(methods, metric)
    found = list(paired.compare(cells(args.results), args.results, methods, metric, args.resamples))
    if not found:
        raise UserError(f"{args.a}, {args.b}: {metric} is undefined, or no seed is common, in every cell: name others")
    return _shared.as_json(_facts(found, metric)) if args.json else _text(found, metric, args.a, args.b)


def _facts(found: "list[Paired]", metric: str) -> dict[str, Any]:
    from peftuq.metrics.evaluate import METRICS

    rows = [
        {
            **{name: getattr(pair, name) for name in ("model", "dataset", "eval")},
            "recipes": list(pair.recipes),
            "a": pair.values[0],
            "b": pair.values[1],
            **pair.difference._asdict(),
            "larger": {1: "a", -1: "b", 0: None}[pair.sign],
        }
        for pair in found
    ]
    return {"metric": metric, "better": METRICS[metric]["better"], "cells": rows}


def _text(found: "list[Paired]", metric: str, a: str, b: str) -> list[str]:
    from peftuq.metrics.evaluate import METRICS

    better = METRICS[metric]["better"]
    names = {1: a, -1: b} if better == "higher" else {1: b, -1: a}
    heads = ["model", "dataset", "eval", "recipe", a, b, "difference", "95 % interval", "seeds", "better"]
    rows = [[*_names(pair), *_numbers(pair), names.get(pair.sign, "–")] for pair in found]
    won = Counter(pair.sign for pair in found)
    summary = f"{names[1]} better in {won[1]}, {names[-1]} in {won[-1]}, neither beyond its interval in {won[0]}"
    return [f"{metric} ({METRICS[metric]['meaning']}; {better} is better)", "", *_shared.table(heads, rows, 4), "",
            f"{summary} of {len(found)}"]  # fmt: skip


def _names(pair: "Paired") -> list[str]:
    return [pair.model, pair.dataset, pair.eval, " / ".join(dict.fromkeys(pair.recipes))]


def _numbers(pair: "Paired") -> list[str]:
    d = pair.difference
    interval = f"[{d.low:+.4f}, {d.high:+.4f}]"
    return [*(f"{value:.4f}" for value in pair.values), f"{d.estimate:+.4f}", interval, str(len(d.seeds))]
