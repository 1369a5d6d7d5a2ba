"""Make the samples of a post-hoc predictive distribution from records."""

import importlib

from peftuq import program

args = program.arguments(__doc__, ["spec"], ["records"])

from peftuq import artifacts  # noqa: E402  after the number of threads is set
from peftuq.progress import Log  # noqa: E402


def main(log: Log) -> None:
    spec = args.spec
    method = importlib.import_module(f"peftuq.predict.{spec['method']}")
    records = [artifacts.RecordFile(file) for file in args.records]
    samples, facts = method.predict(records, spec["evals"], spec["params"], spec["seed"])
    artifacts.write_samples(args.output[0], samples, facts)


program.run(main, Log(args.log, f"predict {args.output[0]}"))
