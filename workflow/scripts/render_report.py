"""Set the run's tables and figures, and the document that shows them beside the papers' numbers."""

import time
from pathlib import Path

from peftuq import program

args = program.arguments(__doc__, ["cells", "metrics"])

from peftuq.progress import Log  # noqa: E402  after the number of threads is set
from peftuq.report import document  # noqa: E402
from peftuq.report.run import Run  # noqa: E402

TEMPLATE = Path(__file__).parents[2] / "reports" / "template.typ"


def main(log: Log) -> None:
    pdf, tables, figures = map(Path, args.output)
    date = time.strftime("%d %B %Y", time.gmtime())
    content = document.sections(Run.read(args.cells, args.metrics, str(Path(args.cells).parent)), date)
    document.write_tables(content, tables)
    document.write_figures(content, figures)
    document.write_pdf(content, figures, TEMPLATE, date, pdf)
    log(f"{pdf}, {len(list(tables.glob('*.csv')))} tables, {len(list(figures.glob('*.pdf')))} figures")


program.run(main, Log(args.log, "render_report"))
