"""Which change of configuration or code makes a job run again.

examples:
  peftuq why results/metrics.csv
  peftuq why evaluate/minilm/snippets2/lora_demo/seed0/point/softmax
"""

import argparse
from collections.abc import Iterable

from peftuq.cli import _shared


def add_arguments(parser: argparse.ArgumentParser) -> None:
    _shared.add_configfile(parser)
    parser.add_argument("target", help="an output file, or <rule>/<wildcards> as the job's log is named")
    _shared.add_json(parser)


def run(args: argparse.Namespace) -> Iterable[str]:
    from peftuq.config import strict_yaml

    strict_yaml.read(args.configfile)  # its own mistakes are said without Snakemake, which takes its time to import
    from peftuq.jobs import why

    lines = why.explain(args.target, _shared.ROOT / "Snakefile", args.configfile)
    if not args.json:
        return lines
    return _shared.as_json({"target": args.target, "due": len(lines) > 1, "because": lines[1:]})
