"""Write the record of every example of every evaluation set: the outputs of one adapter."""

import time
from dataclasses import dataclass

from peftuq.jobs import program
from peftuq.progress import Log
from peftuq.specs.adapted import Extract


@dataclass(frozen=True, kw_only=True)
class Arguments(program.Arguments):
    spec: Extract
    model: program.Input
    data: list[program.Input]  # a file for each of the spec's parts
    records: program.Output
    facts: program.Output
    adapter: program.Input | None = None
    adapter_config: program.Input | None = None


def main(args: Arguments, log: Log) -> None:
    import torch

    from peftuq import artifacts, files, usage
    from peftuq.adapters.adapted import Adapted
    from peftuq.progress import Progress

    torch.set_num_threads(args.threads)
    adapted = Adapted.load(args.spec, args.model, args.adapter, log)
    data, cut = adapted.read(args.spec.parts, args.data)
    n, started = sum(map(len, data.values())), time.monotonic()
    progress = Progress(log, "examples", n, "examples")
    records = {part: adapted.run(encoded, progress) for part, encoded in data.items()}
    took = usage.measured(n, started)
    artifacts.write_records(args.records, records, adapted.read_out.head())
    files.write_json(args.facts, {**took, "cut": cut, "max_length": args.spec.task.max_length})


program.run(__doc__, Arguments, main)
