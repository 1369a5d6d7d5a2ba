"""Set the run's tables and figures, and the document that shows them beside the papers' numbers."""

import time
from dataclasses import dataclass
from pathlib import Path

from peftuq.jobs import program
from peftuq.progress import Log

TEMPLATE = Path(__file__).parents[2] / "reports" / "template.typ"


@dataclass(frozen=True, kw_only=True)
class Arguments(program.Arguments):
    cells: program.Input
    metrics: program.Input
    results: str  # the folder of everything else that the report reads
    pdf: program.Output
    tables: program.Output
    figures: program.Output
    files: program.Output  # names of the tables and figures


def main(args: Arguments, log: Log) -> None:
    from peftuq import files
    from peftuq.report import document
    from peftuq.report.run import Run

    pdf, tables, figures = map(Path, (args.pdf, args.tables, args.figures))
    date = time.strftime("%d %B %Y", time.gmtime())
    content = document.sections(
        Run.read(args.cells, args.metrics, args.results, program.checks(args, args.results)), date
    )
    document.write_tables(content, tables)
    document.write_figures(content, figures)
    made = sorted(f"{folder.name}/{file.name}" for folder in (tables, figures) for file in folder.iterdir())
    files.write_json(args.files, made)
    document.write_pdf(content, figures, TEMPLATE, date, pdf)
    log(f"{pdf}, {len(list(tables.glob('*.csv')))} tables, {len(list(figures.glob('*.pdf')))} figures")


program.run(__doc__, Arguments, main)
