"""Write the record of every example of every evaluation set: what one adapter says of it."""

import importlib
import time
from pathlib import Path

from peftuq import program

args = program.arguments(__doc__, ["spec", "model", "adapter"], ["data"])

import torch  # noqa: E402  after the number of threads is set

from peftuq import artifacts, files  # noqa: E402
from peftuq.models import backbone, encode, inference  # noqa: E402
from peftuq.progress import Log, Progress  # noqa: E402


def main(log: Log) -> None:
    torch.set_num_threads(args.threads)
    adapters = importlib.import_module(f"peftuq.adapters.{args.spec['adapter']}")
    task, folder = args.spec["task"], Path(args.model).parent
    torch.manual_seed(0)  # an untuned classification head would be random; a trained one replaces it
    dtype = backbone.dtype(task["precision"])
    tokenizer = backbone.tokenizer(folder)
    hf = backbone.load(folder, task["kind"], len(task["classes"]), dtype)
    model = hf if args.adapter == "none" else adapters.load(hf, Path(args.adapter).parent)
    read_out = adapters.read_out(model, hf, encode.answer_tokens(tokenizer, task), None).to(backbone.device())
    data = {
        part: encode.encode(tokenizer, file, task) for part, file in zip(args.spec["parts"], args.data, strict=True)
    }
    n, started = sum(map(len, data.values())), time.monotonic()
    progress = Progress(log, "examples", n, "examples")
    records = {
        part: inference.run(read_out, encoded, tokenizer.pad_token_id, task["batch_tokens"], dtype, progress)
        for part, encoded in data.items()
    }
    facts = {"examples": n, "seconds": time.monotonic() - started, "device": str(backbone.device())}
    artifacts.write_records(args.output[0], records, read_out.head())
    files.write_json(args.output[1], facts)


program.run(main, Log(args.log, f"extract {args.output[0]}"))
