"""Compare ensembles, Laplace and dropout with the exact posterior of a model that is small enough to have one."""

from peftuq import program

args = program.arguments(__doc__, ["spec", "records"])

from peftuq import artifacts  # noqa: E402  after the number of threads is set
from peftuq.gold import file, standard  # noqa: E402
from peftuq.progress import Log  # noqa: E402


def main(log: Log) -> None:
    spec = dict(args.spec)
    evals = spec.pop("evals")
    said, facts = standard.compare(artifacts.RecordFile(args.records), evals, spec, log)
    file.write(args.output[0], said, facts)


program.run(main, Log(args.log, f"gold {args.output[0]}"))
