"""Answers, probabilities and P(wrong) for new rows, with a bundle of peftuq fit; which to answer at a given risk.

examples:
  peftuq score --uq uq --data new.csv --out scored.parquet --risk 0.05
"""

import argparse
from collections.abc import Iterable
from pathlib import Path

from peftuq.cli import _shared


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--uq", type=Path, required=True, help="folder that peftuq fit has written")
    add("--data", type=Path, required=True, help="rows with the columns of the fit: .csv, .jsonl or .parquet")
    add("--out", type=Path, required=True, help="the result, .parquet; a run that was killed goes on where it stopped")
    add("--risk", type=_share, help="answer only so many rows that at most this share of the answers is wrong")
    add("--confidence", type=_share, default=0.9, help="with which the risk is kept, over draws of the labelled rows")
    add("--model", type=Path, help="folder of the model, if it lies elsewhere than when the bundle was fitted")
    add("--adapter", type=Path, help="folder of the adapter, likewise")
    _shared.add_json(parser)


def run(args: argparse.Namespace) -> Iterable[str]:
    from peftuq.progress import Log
    from peftuq.tool.score import Scorer, score_file

    log = Log(None, "score")
    scorer = Scorer.load(args.uq, args.model, args.adapter, args.risk, args.confidence, log)
    counts = score_file(scorer, args.data, args.out, log)
    return _shared.as_json({"out": str(args.out), **counts._asdict()}) if args.json else [f"{args.out}: {counts}"]


def _share(text: str) -> float:
    share = float(text)
    if not 0 < share < 1:
        raise argparse.ArgumentTypeError(f"must be between 0 and 1, got {text}")
    return share
