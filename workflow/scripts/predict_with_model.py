"""Make the samples of a predictive distribution for which the model runs again."""

import time
from dataclasses import dataclass

from peftuq.jobs import program
from peftuq.progress import Log
from peftuq.specs.adapted import PredictWithModel


@dataclass(frozen=True, kw_only=True)
class Arguments(program.Arguments):
    spec: PredictWithModel
    model: program.Input
    data: list[program.Input]  # a file for each of the spec's evaluation sets
    samples: program.Output
    facts: program.Output
    adapter: program.Input | None = None
    adapter_config: program.Input | None = None
    train: program.Input | None = None  # for predictives that need it


def main(args: Arguments, log: Log) -> None:
    import torch

    from peftuq import artifacts, files, plugins, usage
    from peftuq.adapters.adapted import Adapted
    from peftuq.predictives import returned
    from peftuq.predictives.protocol import ModelPredictive

    torch.set_num_threads(args.threads)
    spec = args.spec
    method = plugins.load(spec.module, ModelPredictive)
    adapted = Adapted.load(spec, args.model, args.adapter, log)
    data = {part: files.read_columns(file) for part, file in zip(spec.evals, args.data, strict=True)}
    train = {} if args.train is None else {"train": files.read_columns(args.train)}
    started = time.monotonic()
    found = method.predict(adapted, data | train, spec.evals, spec.params, spec.seed, spec.size)
    ids = {part: columns["id"] for part, columns in data.items()}
    returned.check(method.PREDICTIVE, spec.module, found, spec.size, ids)
    samples, facts = found
    took = usage.measured(sum(len(columns["id"]) for columns in data.values()), started)
    artifacts.write_samples(args.samples, samples, facts)
    files.write_json(args.facts, took)


program.run(__doc__, Arguments, main)
