"""A finished run's metrics as a file: CSV, a LaTeX table, or a leaderboard in JSON.

csv: one value a line, as results/metrics.csv, of what is asked for. latex: the table of `peftuq show`, with booktabs.
leaderboard: by task (model, dataset, evaluation set, recipe) the methods, the best by --sort first, and the
mean ranks of those that every task has.

examples:
  peftuq export csv --metric auroc --out auroc.csv
  peftuq export latex --model minilm --metric auroc aurc > table.tex
  peftuq export leaderboard --sort auroc --out leaderboard.json
"""

import argparse
import csv
import io
from collections.abc import Iterable
from pathlib import Path

from peftuq.cli import _selection, _shared, show
from peftuq.errors import UserError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("format", choices=("csv", "latex", "leaderboard"))
    _selection.add_arguments(parser)
    parser.add_argument("--sort", metavar="METRIC", help="the best by this metric first (of a leaderboard: auroc)")
    parser.add_argument("--out", type=Path, help="a new file; without it, standard output")
    _shared.add_json(parser)


def run(args: argparse.Namespace) -> Iterable[str]:
    if args.out is not None and (args.out.exists() or not args.out.absolute().parent.is_dir()):
        raise UserError(f"--out {args.out}: is there already, or its folder is not: name a new file")
    lines = list({"csv": _csv, "latex": _latex, "leaderboard": _leaderboard}[args.format](args))
    if args.out is None:
        return _shared.as_json({"format": args.format, "text": lines}) if args.json else lines
    from peftuq.files import atomic

    with atomic(args.out) as temporary:
        temporary.write_text("\n".join(lines) + "\n")
    written = {"file": str(args.out), "format": args.format, "lines": len(lines)}
    return _shared.as_json(written) if args.json else [f"{args.out}: {len(lines)} lines"]


def _csv(args: argparse.Namespace) -> list[str]:
    if args.sort:
        raise UserError("--sort: is for latex and leaderboard; a CSV keeps the run's order")
    table, text = _selection.selected(args), io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table)
    writer.writerows(["" if value != value else value for value in row] for row in zip(*table.values(), strict=True))
    return text.getvalue().splitlines()


def _latex(args: argparse.Namespace) -> list[str]:
    wanted = show.metrics(args)
    return show.text(show.rows(args, wanted, args.sort), wanted, "latex_booktabs")


def _leaderboard(args: argparse.Namespace) -> list[str]:
    from peftuq.evaluation.selection import leaderboard

    args.sort = args.sort or (args.metric or ["auroc"])[0]
    return _shared.as_json(leaderboard(show.rows(args, show.metrics(args), None), args.sort))
