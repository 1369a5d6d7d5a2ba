"""Write the record of every example of every evaluation set: what one adapter says of it."""

import time

from peftuq import program

args = program.arguments(__doc__, ["spec", "model"], ["adapter", "data"])

import torch  # noqa: E402  after the number of threads is set

from peftuq import artifacts, files  # noqa: E402
from peftuq.models.adapted import Adapted, duration  # noqa: E402
from peftuq.progress import Log, Progress  # noqa: E402


def main(log: Log) -> None:
    torch.set_num_threads(args.threads)
    adapted = Adapted.load(args.spec, args.model, args.adapter[0], log)
    parts = zip(args.spec["parts"], args.data, strict=True)
    data = {part: adapted.encode(files.read_columns(file)) for part, file in parts}
    n, started = sum(map(len, data.values())), time.monotonic()
    progress = Progress(log, "examples", n, "examples")
    records = {part: adapted.run(encoded, progress) for part, encoded in data.items()}
    took = duration(n, started)
    artifacts.write_records(args.output[0], records, adapted.read_out.head())
    files.write_json(args.output[1], took)


program.run(main, Log(args.log, f"extract {args.output[0]}"))
