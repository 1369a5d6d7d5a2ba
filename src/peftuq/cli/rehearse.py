"""Memory, work and faults of every GPU job, without a GPU.

examples:
  peftuq rehearse
  peftuq rehearse --configfile config/paper.yaml --card h100 --jobs 8
"""

import argparse
from collections.abc import Iterable
from pathlib import Path

from peftuq.cli import _shared
from peftuq.planning.cards import CARDS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    _shared.add_configfile(parser)
    parser.add_argument("--card", choices=list(CARDS), default="a100-80")
    parser.add_argument("--jobs", type=_count, default=1, help="processes that rehearse at a time")
    _shared.add_json(parser)


def run(args: argparse.Namespace) -> Iterable[str]:
    from peftuq.planning import table
    from peftuq.planning.rehearsals import Rehearsals
    from peftuq.planning.requests import requests

    jobs, card = _shared.jobs(args.configfile), CARDS[args.card]
    rows = table.rows(requests(jobs), Rehearsals(Path(jobs.study.config.results), card, args.jobs))
    return _shared.as_json({"card": card.name, "jobs": rows}) if args.json else table.lines(rows, card)


def _count(text: str) -> int:
    count = int(text)
    if not 0 < count <= 1024:
        raise argparse.ArgumentTypeError(f"must be from 1 to 1024, got {text}")
    return count
