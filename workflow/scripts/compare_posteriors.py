"""Compare ensembles, Laplace and dropout with the exact posterior of a model that is small enough to have one."""

from dataclasses import dataclass
from typing import Any

from peftuq.jobs import program
from peftuq.progress import Log


@dataclass(frozen=True, kw_only=True)
class Arguments(program.Arguments):
    spec: dict[str, Any]
    records: program.Input
    comparison: program.Output


def main(args: Arguments, log: Log) -> None:
    from peftuq import artifacts
    from peftuq.reference_posterior import compare, file

    spec = dict(args.spec)
    evals = spec.pop("evals")
    predictions, facts = compare.compare(artifacts.RecordFile(args.records), evals, spec, log)
    file.write(args.comparison, predictions, facts)


program.run(__doc__, Arguments, main)
