"""Make the samples of a predictive distribution that asks the model again."""

import importlib
import time

from peftuq import program

args = program.arguments(__doc__, ["spec", "model"], ["adapter", "data"])

import torch  # noqa: E402  after the number of threads is set

from peftuq import artifacts, files  # noqa: E402
from peftuq.models.adapted import Adapted, duration  # noqa: E402
from peftuq.progress import Log  # noqa: E402


def main(log: Log) -> None:
    torch.set_num_threads(args.threads)
    spec = args.spec
    method = importlib.import_module(f"peftuq.predict.{spec['method']}")
    adapted = Adapted.load(spec, args.model, args.adapter[0], log)
    data = {part: files.read_columns(file) for part, file in zip(spec["evals"], args.data, strict=True)}
    started = time.monotonic()
    samples, facts = method.predict(adapted, data, spec["evals"], spec["params"], spec["seed"], spec["size"])
    took = duration(sum(len(columns["id"]) for columns in data.values()), started)
    artifacts.write_samples(args.output[0], samples, facts)
    files.write_json(args.output[1], took)


program.run(main, Log(args.log, f"sample {args.output[0]}"))
