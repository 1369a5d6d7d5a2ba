"""Fit the Laplace approximation of a saved adapter and write the Gaussian logits of every evaluation set."""

import time

from peftuq import program

args = program.arguments(__doc__, ["spec", "model", "train"], ["adapter", "data"])

import torch  # noqa: E402  after the number of threads is set

from peftuq.files import read_columns, write_json  # noqa: E402
from peftuq.laplace import file, fit, kfac  # noqa: E402
from peftuq.models.adapted import Adapted, duration  # noqa: E402
from peftuq.progress import Log  # noqa: E402


def main(log: Log) -> None:
    torch.set_num_threads(args.threads)
    spec = args.spec
    adapted = Adapted.load(spec, args.model, args.adapter[0], log)
    train = adapted.encode(read_columns(args.train))
    evals = {part: adapted.encode(read_columns(data)) for part, data in zip(spec["evals"], args.data, strict=True)}
    tokens = min(spec["task"]["batch_tokens"], spec["params"]["batch_tokens"])
    running = kfac.Running(adapted.tokenizer.pad_token_id, tokens, adapted.dtype)
    started = time.monotonic()
    said, facts = fit.fit(adapted.read_out, train, evals, running, spec["params"], spec["seed"], log)
    log(f"prior precision {facts['precision']}, validation NLL {facts['valid_nll']}")
    took = duration(sum(map(len, evals.values())), started)
    file.write(args.output[0], said, facts)
    write_json(args.output[1], took)


program.run(main, Log(args.log, f"fit_laplace {args.output[0]}"))
