"""Metrics of one score, or of a predictive distribution, on every evaluation set of a cell."""

from dataclasses import dataclass

from peftuq.jobs import program
from peftuq.progress import Log
from peftuq.specs.evaluate import Evaluate


@dataclass(frozen=True, kw_only=True)
class Arguments(program.Arguments):
    spec: Evaluate
    samples: program.Input
    metrics: program.Output
    scores: program.Input | None = None  # without: of the predictive distribution itself


def main(args: Arguments, log: Log) -> None:
    from peftuq import artifacts, files
    from peftuq.evaluation.rows import prediction_rows, score_rows

    evals = args.spec.evals
    if args.scores is None:
        rows = prediction_rows(artifacts.SampleFile(args.samples), evals)
    else:
        rows = score_rows(artifacts.read_scores(args.scores), evals, args.spec.probabilities)
    files.write_json(args.metrics, {"cell": program.plain(args.spec), "rows": rows})


program.run(__doc__, Arguments, main)
