"""Write the run as one page for a browser: leaderboard, figures, and every test example."""

from dataclasses import dataclass
from pathlib import Path

from peftuq.jobs import program
from peftuq.progress import Log


@dataclass(frozen=True, kw_only=True)
class Arguments(program.Arguments):
    cells: program.Input
    metrics: program.Input
    results: str  # the folder of everything else that the page holds
    html: program.Output


def main(args: Arguments, log: Log) -> None:
    from peftuq.report.html import page
    from peftuq.report.run import Run

    run = Run.read(args.cells, args.metrics, args.results, program.checks(args, args.results))
    page.write(run, args.html)
    log(f"{args.html}, {Path(args.html).stat().st_size / 1e6:.1f} MB")


program.run(__doc__, Arguments, main)
