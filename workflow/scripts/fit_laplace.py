"""Fit the Laplace approximation of a saved adapter and write the Gaussian logits of every evaluation set."""

import time
from dataclasses import dataclass

from peftuq.jobs import program
from peftuq.progress import Log
from peftuq.specs.adapted import FitLaplace


@dataclass(frozen=True, kw_only=True)
class Arguments(program.Arguments):
    spec: FitLaplace
    model: program.Input
    adapter: program.Input
    adapter_config: program.Input
    train: program.Input
    data: list[program.Input]  # a file for each of the spec's evaluation sets
    gaussians: program.Output
    facts: program.Output


def main(args: Arguments, log: Log) -> None:
    import torch

    from peftuq import usage
    from peftuq.adapters.adapted import Adapted
    from peftuq.files import read_columns, write_json
    from peftuq.predictives.laplace import file, fit, kfac

    torch.set_num_threads(args.threads)
    spec = args.spec
    adapted = Adapted.load(spec, args.model, args.adapter, log)
    train = adapted.encode(read_columns(args.train))
    evals = {part: adapted.encode(read_columns(data)) for part, data in zip(spec.evals, args.data, strict=True)}
    tokens = min(spec.task.batch_tokens, spec.params.batch_tokens)
    execution = kfac.Execution(adapted.tokenizer.pad_token_id, tokens, adapted.dtype)
    started = time.monotonic()
    gaussians, facts = fit.fit(adapted.read_out, train, evals, execution, spec.params, spec.seed, log)
    log(f"prior precision {facts['precision']}, validation NLL {facts['valid_nll']}")
    took = usage.measured(sum(map(len, evals.values())), started)
    file.write(args.gaussians, gaussians, facts)
    write_json(args.facts, took)


program.run(__doc__, Arguments, main)
