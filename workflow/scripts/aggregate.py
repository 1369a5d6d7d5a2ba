"""Gather the metrics of every cell of the run into one long table."""

from pathlib import Path

from peftuq import program

args = program.arguments(__doc__, ["cells"])

from peftuq import files  # noqa: E402  after the number of threads is set
from peftuq.progress import Log  # noqa: E402
from peftuq.report import gather  # noqa: E402


def main(log: Log) -> None:
    columns = gather.long_table(files.read_json(args.cells)["cells"], str(Path(args.cells).parent))
    table, csv = args.output
    files.write_columns(table, columns)
    files.write_csv(csv, columns)
    log(f"{len(columns['value'])} metrics of {len(set(columns['method']))} methods")


program.run(main, Log(args.log, "aggregate"))
