"""Turn a dataset's source files into its train, valid and test splits."""

from dataclasses import dataclass

from peftuq.data.schema import Preparation
from peftuq.jobs import program
from peftuq.progress import Log


@dataclass(frozen=True, kw_only=True)
class Arguments(program.Arguments):
    spec: Preparation
    source: program.Input
    train: program.Output
    valid: program.Output
    test: program.Output


def main(args: Arguments, log: Log) -> None:
    import json

    from peftuq import fetched, files
    from peftuq.data import quality, tasks

    splits, metadata = tasks.prepare(args.spec, fetched.files(args.source))
    counts = json.loads(metadata["counts"])
    for split in ("train", "valid", "test"):
        files.write_columns(getattr(args, split), splits[split], metadata)
        log(f"{split}: {len(splits[split]['id'])} examples{quality.said(counts[split])}")


program.run(__doc__, Arguments, main)
