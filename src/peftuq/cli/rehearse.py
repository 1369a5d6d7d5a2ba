"""Memory, work and faults of every GPU job, without a GPU."""

import argparse
from collections.abc import Iterable
from pathlib import Path

from peftuq.cli import _shared
from peftuq.planning import table
from peftuq.planning.cards import CARDS
from peftuq.planning.rehearsals import Rehearsals
from peftuq.planning.requests import requests


def add_arguments(parser: argparse.ArgumentParser) -> None:
    _shared.add_configfile(parser)
    parser.add_argument("--card", choices=list(CARDS), default="a100-80")
    parser.add_argument("--jobs", type=_count, default=1, help="processes that rehearse at a time")


def run(args: argparse.Namespace) -> Iterable[str]:
    jobs, card = _shared.jobs(args.configfile), CARDS[args.card]
    return table.lines(table.rows(requests(jobs), Rehearsals(Path(jobs.study.config.results), card, args.jobs)), card)


def _count(text: str) -> int:
    count = int(text)
    if not 0 < count <= 1024:
        raise argparse.ArgumentTypeError(f"must be from 1 to 1024, got {text}")
    return count
