"""Gather the metrics of every cell of the run into one long table."""

from dataclasses import dataclass

from peftuq.jobs import program
from peftuq.progress import Log


@dataclass(frozen=True, kw_only=True)
class Arguments(program.Arguments):
    cells: program.Input
    results: str  # the folder that the metrics lie in
    table: program.Output
    csv: program.Output


def main(args: Arguments, log: Log) -> None:
    from peftuq import files
    from peftuq.evaluation import gather

    columns = gather.long_table(files.read_json(args.cells)["cells"], args.results, program.checks(args, args.results))
    files.write_columns(args.table, columns)
    files.write_csv(args.csv, columns)
    log(f"{len(columns['value'])} metrics of {len(set(columns['method']))} methods")


program.run(__doc__, Arguments, main)
