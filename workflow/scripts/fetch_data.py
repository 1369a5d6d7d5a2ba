"""Fetch a dataset's source files from the hub or a package registry and record where they came from."""

from dataclasses import dataclass
from pathlib import Path

from peftuq.jobs import program
from peftuq.progress import Log
from peftuq.specs.fetch import FetchData


@dataclass(frozen=True, kw_only=True)
class Arguments(program.Arguments):
    spec: FetchData
    downloads: str
    provenance: program.Output
    files: program.Output


def main(args: Arguments, log: Log) -> None:
    from peftuq.data import sources
    from peftuq.files import write_json

    fetched = sources.fetch(args.spec.kind, args.spec.source, Path(args.files), Path(args.downloads))
    write_json(args.provenance, fetched)


program.run(__doc__, Arguments, main)
