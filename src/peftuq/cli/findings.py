"""The best methods of a finished run, how sure that is, and where to look, in a few lines.

For each model and dataset: the score with the highest error-AUROC and the predictive with the lowest calibration error
(15 bins), means over seeds, each with the paired difference to the plain adapter of the same recipe and its 95 %
interval. The best of many is picked on the test set: the interval, not the rank, says whether it is better.

examples:
  peftuq findings
  peftuq findings --results arc --json
"""

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from peftuq.cli import _selection, _shared
from peftuq.errors import UserError

if TYPE_CHECKING:
    from peftuq.evaluation.best import Best

_PLAIN = {"error detection": "softmax response", "calibration": "the plain adapter"}
_NAMES = {"auroc": "AUROC", "ece_15": "ECE"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    _selection.add_results(parser)
    parser.add_argument("--reports", default="reports", help="the run's folder of reports")
    parser.add_argument("--resamples", type=_shared.count, default=1000, help="of the bootstrap")
    _shared.add_json(parser)


def run(args: argparse.Namespace) -> Iterable[str]:
    from peftuq.evaluation.best import best
    from peftuq.evaluation.selection import cells, read

    found = list(best(read(args.results), cells(args.results), args.results, args.resamples))
    if not found:
        raise UserError(f"{args.results}: no metric that ranks methods is defined there: see `peftuq show`")
    files = [path for path in _places(args.results, args.reports) if path.exists()]
    if args.json:
        return _shared.as_json({"best": list(map(_facts, found)), "files": list(map(str, files))})
    return [*map(_line, found), f"look at: {', '.join(map(str, files))}; `peftuq show`, `peftuq compare A B`"]


def _places(results: str, reports: str) -> list[Path]:
    return [Path(reports, "report.html"), Path(reports, "report.pdf"), Path(reports, "tables"),
            Path(results, "metrics.csv")]  # fmt: skip


def _line(best: "Best") -> str:
    text = f"{best.goal} of {best.model} on {best.dataset}: {best.method}, {_NAMES[best.metric]} {best.value:.3f}"
    if best.paired is None:
        return f"{text}: nothing is better than the plain adapter"
    d, (_, plain) = best.paired.difference, best.paired.values
    points = f"{100 * d.estimate:+.1f} points [{100 * d.low:+.1f}, {100 * d.high:+.1f}]"
    sure = "" if best.paired.sign else ", which may be chance"
    return f"{text}; {_PLAIN[best.goal]} {plain:.3f}: {points}{sure}"


def _facts(best: "Best") -> dict[str, object]:
    difference = None if best.paired is None else best.paired.difference._asdict()
    names = ("goal", "metric", "model", "dataset", "value")
    return {**{name: getattr(best, name) for name in names}, "method": str(best.method), "over_plain": difference}
