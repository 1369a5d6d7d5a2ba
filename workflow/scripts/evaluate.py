"""Metrics of one score, or of a predictive distribution, on every evaluation set of a cell."""

from peftuq import program

args = program.arguments(__doc__, ["spec", "samples", "scores"])

from peftuq import artifacts, files  # noqa: E402  after the number of threads is set
from peftuq.metrics import cell  # noqa: E402
from peftuq.progress import Log  # noqa: E402


def main(log: Log) -> None:
    samples = artifacts.SampleFile(args.samples)
    if args.scores == "none":
        rows = cell.prediction_rows(samples, args.spec["evals"])
    else:
        rows = cell.score_rows(artifacts.read_scores(args.scores), args.spec["evals"], args.spec["probabilities"])
    files.write_json(args.output[0], {"cell": args.spec, "rows": rows})


program.run(main, Log(args.log, f"evaluate {args.output[0]}"))
