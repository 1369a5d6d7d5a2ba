"""Turn a dataset's source files into its train, valid and test splits."""

from pathlib import Path

from peftuq import program

args = program.arguments(__doc__, ["spec", "source"])

from peftuq import fetched, files  # noqa: E402  after the number of threads is set
from peftuq.data import tasks  # noqa: E402
from peftuq.progress import Log  # noqa: E402


def main(log: Log) -> None:
    splits, metadata = tasks.prepare(args.spec, fetched.files(args.source))
    for path in args.output:
        split = Path(path).stem
        files.write_columns(path, splits[split], metadata)
        log(f"{split}: {len(splits[split]['id'])} examples")


program.run(main, Log(args.log, f"prepare_data {Path(args.output[0]).parent}"))
