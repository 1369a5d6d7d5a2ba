"""Bootstrap the differences between the scores of one setting, paired by example and seed."""

from dataclasses import dataclass

from peftuq.jobs import program
from peftuq.progress import Log
from peftuq.specs.compare import Compare


@dataclass(frozen=True, kw_only=True)
class Arguments(program.Arguments):
    spec: Compare
    scores: list[program.Input]  # a file for each of the spec's cells and its scores
    comparison: program.Output


def main(args: Arguments, log: Log) -> None:
    from peftuq import artifacts, files
    from peftuq.cells import Cell
    from peftuq.evaluation import compare

    cells = [Cell(*cell) for cell, scores in args.spec.cells for _ in scores]
    read = map(artifacts.read_scores, args.scores)
    scored = [(cell.predictive, cell.seed, scores) for cell, scores in zip(cells, read, strict=True)]
    files.write_json(args.comparison, compare.pairwise(scored, args.spec.evals, args.spec.resamples))


program.run(__doc__, Arguments, main)
