"""Which change of configuration or code makes a job run again."""

import argparse
from collections.abc import Iterable

from peftuq.cli import _shared


def add_arguments(parser: argparse.ArgumentParser) -> None:
    _shared.add_configfile(parser)
    parser.add_argument("target", help="an output file, or <rule>/<wildcards> as the job's log is named")


def run(args: argparse.Namespace) -> Iterable[str]:
    from peftuq.jobs import why  # Snakemake takes its time to import

    return why.explain(args.target, _shared.ROOT / "Snakefile", args.configfile)
