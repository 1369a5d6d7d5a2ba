"""Bootstrap the differences between the scores of one setting, paired by example and seed."""

from pathlib import Path

from peftuq import program

args = program.arguments(__doc__, ["spec"], ["scores"])

from peftuq import files  # noqa: E402  after the number of threads is set
from peftuq.progress import Log  # noqa: E402
from peftuq.report import compare  # noqa: E402


def main(log: Log) -> None:
    results = Path(args.output[0]).parents[3]  # not in the spec: a storage puts it where it likes
    files.write_json(args.output[0], compare.against_best(str(results), **args.spec))


program.run(main, Log(args.log, f"compare {args.output[0]}"))
