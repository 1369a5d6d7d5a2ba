"""Compare ensembles, Laplace and dropout with the exact posterior of a model that is small enough to have one."""

from dataclasses import dataclass

from peftuq.jobs import program
from peftuq.progress import Log
from peftuq.specs.posterior import ComparePosteriors


@dataclass(frozen=True, kw_only=True)
class Arguments(program.Arguments):
    spec: ComparePosteriors
    records: program.Input
    comparison: program.Output


def main(args: Arguments, log: Log) -> None:
    from peftuq import artifacts
    from peftuq.reference_posterior import compare, file

    settings = args.spec.model_dump(exclude={"evals"})
    predictions, facts = compare.compare(artifacts.RecordFile(args.records), args.spec.evals, settings, log)
    file.write(args.comparison, predictions, facts)


program.run(__doc__, Arguments, main)
