"""Make the samples of a post-hoc predictive distribution from records, a fitted posterior or other samples."""

import time
from dataclasses import dataclass
from typing import Any

from peftuq.jobs import program
from peftuq.progress import Log
from peftuq.specs.predict import PredictFromRecords


@dataclass(frozen=True, kw_only=True)
class Arguments(program.Arguments):
    spec: PredictFromRecords
    inputs: list[program.Input]
    samples: program.Output
    facts: program.Output


def main(args: Arguments, log: Log) -> None:
    from peftuq import artifacts, files, plugins, usage
    from peftuq.predictives import returned
    from peftuq.predictives.laplace.file import LaplaceFile
    from peftuq.predictives.protocol import FilePredictive

    spec = args.spec
    method = plugins.load(spec.module, FilePredictive)
    kinds = {"records": artifacts.RecordFile, "epochs": artifacts.EpochFile, "laplace": LaplaceFile}
    read = {**kinds, "samples": artifacts.SampleFile}[spec.reads]
    inputs: list[Any] = [read(file) for file in args.inputs]
    started = time.monotonic()
    found = method.predict(inputs, spec.evals, spec.params, spec.seed, spec.size)
    ids = {part: inputs[0].ids(part) for part in spec.evals}
    returned.check(method.PREDICTIVE, spec.module, found, spec.size, ids)
    samples, facts = found
    took = usage.measured(sum(map(len, ids.values())), started)
    artifacts.write_samples(args.samples, samples, facts)
    files.write_json(args.facts, took)


program.run(__doc__, Arguments, main)
