"""Fetch a dataset's source files from the hub or a package registry and record where they came from."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from peftuq.jobs import program
from peftuq.progress import Log


@dataclass(frozen=True, kw_only=True)
class Arguments(program.Arguments):
    spec: dict[str, Any]
    downloads: str
    provenance: program.Output
    files: program.Output


def main(args: Arguments, log: Log) -> None:
    from peftuq.data import sources
    from peftuq.files import write_json

    fetched = sources.fetch(args.spec["kind"], args.spec["source"], Path(args.files), Path(args.downloads))
    write_json(args.provenance, fetched)


program.run(__doc__, Arguments, main)
