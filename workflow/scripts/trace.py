"""Follow an ensemble through its fine-tuning: curves for every size, uncertainty of every example."""

from dataclasses import dataclass

from peftuq.jobs import program
from peftuq.progress import Log
from peftuq.specs.trace import Trace


@dataclass(frozen=True, kw_only=True)
class Arguments(program.Arguments):
    spec: Trace
    epochs: list[program.Input]
    curves: program.Output
    examples: program.Output


def main(args: Arguments, log: Log) -> None:
    from peftuq import artifacts, files
    from peftuq.evaluation import training_dynamics

    members = [artifacts.EpochFile(file) for file in args.epochs]
    files.write_json(args.curves, training_dynamics.curves(members, args.spec.sizes))
    shown = args.spec.shown
    files.write_arrays(
        args.examples, training_dynamics.examples(members, shown), training_dynamics.facts(members, shown)
    )


program.run(__doc__, Arguments, main)
