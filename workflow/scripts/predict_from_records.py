"""Make the samples of a post-hoc predictive distribution from records, a fitted posterior or other samples."""

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


def main(args: Arguments, log: Log) -> None:
    from peftuq import artifacts, plugins
    from peftuq.predictives import returned
    from peftuq.predictives.laplace.file import LaplaceFile
    from peftuq.predictives.protocol import FilePredictive

    spec = args.spec
    method = plugins.load(spec.module, FilePredictive)
    files = {"records": artifacts.RecordFile, "epochs": artifacts.EpochFile, "laplace": LaplaceFile}
    read = {**files, "samples": artifacts.SampleFile}[spec.reads]
    inputs: list[Any] = [read(file) for file in args.inputs]
    found = method.predict(inputs, spec.evals, spec.params, spec.seed, spec.size)
    ids = {part: inputs[0].ids(part) for part in spec.evals}
    returned.check(method.PREDICTIVE, spec.module, found, spec.size, ids)
    samples, facts = found
    artifacts.write_samples(args.samples, samples, facts)


program.run(__doc__, Arguments, main)
