"""Bootstrap the differences between the scores of one setting, paired by example and seed."""

from peftuq import program

args = program.arguments(__doc__, ["spec"], ["scores"])

from peftuq import files  # noqa: E402  after the number of threads is set
from peftuq.progress import Log  # noqa: E402
from peftuq.report import compare  # noqa: E402


def main(log: Log) -> None:
    files.write_json(args.output[0], compare.against_best(**args.spec))


program.run(main, Log(args.log, f"compare {args.output[0]}"))
