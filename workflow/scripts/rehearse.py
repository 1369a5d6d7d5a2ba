"""Rehearse every kind of GPU job of a run: memory, work, time on an A100 of 80 GB, and what a device would refuse."""

from dataclasses import dataclass

from peftuq.jobs import program
from peftuq.progress import Log


@dataclass(frozen=True, kw_only=True)
class Arguments(program.Arguments):
    requests: program.Input
    results: str  # the folder below which rehearsals are kept
    processes: int
    table: program.Output
    text: program.Output


def main(args: Arguments, log: Log) -> None:
    from pathlib import Path

    from peftuq import files
    from peftuq.planning import requests, table
    from peftuq.planning.cards import CARDS
    from peftuq.planning.rehearsals import Rehearsals

    card = CARDS["a100-80"]
    found = table.rows(requests.read(args.requests), Rehearsals(Path(args.results), card, args.processes))
    files.write_csv(args.table, table.columns(found))
    lines = list(table.lines(found, card))
    with files.atomic(args.text) as temporary:
        temporary.write_text("\n".join(lines) + "\n")
    for line in lines:
        log(line)


if __name__ == "__main__":  # its processes import this file
    program.run(__doc__, Arguments, main)
