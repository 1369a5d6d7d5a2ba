"""Write the record of every example of every evaluation set: what one adapter says of it."""

from pathlib import Path

from peftuq import program

args = program.arguments(__doc__, ["spec", "model", "adapter"], ["data"])

import torch  # noqa: E402  after the number of threads is set

from peftuq import artifacts  # noqa: E402
from peftuq.models import backbone, encode, inference, lora  # noqa: E402
from peftuq.models.readout import ReadOut  # noqa: E402
from peftuq.progress import Log, Progress  # noqa: E402


def main(log: Log) -> None:
    torch.set_num_threads(args.threads)
    task, folder = args.spec["task"], Path(args.model).parent
    torch.manual_seed(0)  # an untuned classification head would be random; a trained one replaces it
    dtype = backbone.dtype(task["precision"])
    tokenizer = backbone.tokenizer(folder)
    hf = backbone.load(folder, task["kind"], len(task["classes"]), dtype)
    model = hf if args.adapter == "none" else lora.load(hf, Path(args.adapter).parent)
    read_out = ReadOut(model, hf, encode.answer_tokens(tokenizer, task)).to(backbone.device())
    data = {
        part: encode.encode(tokenizer, file, task) for part, file in zip(args.spec["parts"], args.data, strict=True)
    }
    progress = Progress(log, "examples", sum(map(len, data.values())), "examples")
    records = {
        part: inference.run(read_out, encoded, tokenizer.pad_token_id, task["batch_tokens"], dtype, progress)
        for part, encoded in data.items()
    }
    artifacts.write_records(args.output[0], records, read_out.head())


program.run(main, Log(args.log, f"extract {args.output[0]}"))
