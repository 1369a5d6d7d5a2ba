"""Follow an ensemble through its fine-tuning: curves for every size, uncertainty of every example."""

from peftuq import program

args = program.arguments(__doc__, ["spec"], ["epochs"])

from peftuq import artifacts, files  # noqa: E402  after the number of threads is set
from peftuq.predict import trace  # noqa: E402
from peftuq.progress import Log  # noqa: E402


def main(log: Log) -> None:
    members = [artifacts.EpochFile(file) for file in args.epochs]
    curves, examples = args.output
    files.write_json(curves, trace.curves(members, args.spec["sizes"]))
    shown = args.spec["shown"]
    files.write_arrays(examples, trace.examples(members, shown), trace.facts(members, shown))


program.run(main, Log(args.log, f"trace {args.output[0]}"))
