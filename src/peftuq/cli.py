"""`peftuq plan`: what a configuration would run and need. Nothing is started."""

import argparse
import sys
from pathlib import Path

from peftuq.errors import UserError
from peftuq.grid import load, plan
from peftuq.grid.jobs import Jobs
from peftuq.grid.study import PACKAGE, Study

ROOT = PACKAGE.parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(prog="peftuq", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    planning = commands.add_parser("plan", help="cells, jobs, parameters and memory of a configuration")
    planning.add_argument("--configfile", type=Path, default=ROOT / "config" / "config.yaml")
    args = parser.parse_args()
    try:
        jobs = Jobs(Study(load.read_yaml(args.configfile), ROOT / "config", str(args.configfile)))
        print("\n".join(plan.describe(jobs)))
    except (UserError, FileNotFoundError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
