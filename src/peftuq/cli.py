"""Commands: jobs and needs of a run (`plan`), how its GPU jobs run (`rehearse`), what made one due (`why`)."""

import argparse
import os
import sys
from collections.abc import Iterable
from pathlib import Path

from peftuq.config import load
from peftuq.config.study import PACKAGE, Study
from peftuq.errors import UserError
from peftuq.jobs.jobs import Jobs
from peftuq.planning import budget, plan, table
from peftuq.planning.cards import CARDS
from peftuq.planning.rehearsals import Rehearsals
from peftuq.planning.requests import requests

ROOT = PACKAGE.parents[1]


def _plan(args: argparse.Namespace) -> Iterable[str]:
    config, where = load.read_yaml(args.configfile), str(args.configfile)
    jobs = Jobs(Study(config, ROOT / "config", where))
    rehearsals = Rehearsals(Path(jobs.study.config.results), CARDS["a100-80"], os.cpu_count() or 1)
    if args.budget_hours is None:
        return plan.describe(jobs, rehearsals)
    steps = budget.fit(config, ROOT / "config", args.budget_hours, where, rehearsals)
    return plan.describe_budget(steps, args.budget_hours, args.budget_out)


def _rehearse(args: argparse.Namespace) -> Iterable[str]:
    jobs = Jobs(Study(load.read_yaml(args.configfile), ROOT / "config", str(args.configfile)))
    card = CARDS[args.card]
    return table.lines(table.rows(requests(jobs), Rehearsals(Path(jobs.study.config.results), card, args.jobs)), card)


def _why(args: argparse.Namespace) -> Iterable[str]:
    from peftuq.jobs import why  # Snakemake takes its time to import

    return why.explain(args.target, ROOT / "Snakefile", args.configfile)


def main() -> None:
    parser = argparse.ArgumentParser(prog="peftuq", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    planning = commands.add_parser("plan", help="jobs, GPU-hours, memory and disk of a configuration")
    planning.set_defaults(lines=_plan)
    planning.add_argument("--budget-hours", type=float, help="GPU-hours: what to leave out to need no more")
    planning.add_argument("--budget-out", type=Path, help="file for the configuration that leaves it out")
    asking = commands.add_parser("why", help="which change of configuration or code makes a job run again")
    asking.add_argument("target", help="an output file, or <rule>/<wildcards> as the job's log is named")
    asking.set_defaults(lines=_why)
    rehearsing = commands.add_parser("rehearse", help="memory, work and faults of every GPU job, without a GPU")
    rehearsing.set_defaults(lines=_rehearse)
    rehearsing.add_argument("--card", choices=list(CARDS), default="a100-80")
    rehearsing.add_argument("--jobs", type=int, default=1, help="processes that rehearse at a time")
    for command in (planning, asking, rehearsing):
        command.add_argument("--configfile", type=Path, default=ROOT / "config" / "config.yaml")
    args = parser.parse_args()
    try:
        print("\n".join(args.lines(args)))
    except (UserError, FileNotFoundError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
