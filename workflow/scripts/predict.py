"""Make the samples of a post-hoc predictive distribution from records, or from a fitted posterior."""

import importlib

from peftuq import program

args = program.arguments(__doc__, ["spec"], ["inputs"])

from peftuq import artifacts  # noqa: E402  after the number of threads is set
from peftuq.laplace.file import LaplaceFile  # noqa: E402
from peftuq.progress import Log  # noqa: E402


def main(log: Log) -> None:
    spec = args.spec
    method = importlib.import_module(f"peftuq.predict.{spec['method']}")
    read = {"records": artifacts.RecordFile, "epochs": artifacts.EpochFile, "laplace": LaplaceFile}[spec["reads"]]
    inputs = [read(file) for file in args.inputs]
    samples, facts = method.predict(inputs, spec["evals"], spec["params"], spec["seed"], spec["size"])
    artifacts.write_samples(args.output[0], samples, facts)


program.run(main, Log(args.log, f"predict {args.output[0]}"))
