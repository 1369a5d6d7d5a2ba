"""Commands: jobs and needs of a run (`plan`), how its GPU jobs run (`rehearse`), what made one due (`why`)."""

import argparse
import math
import os
import signal
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NoReturn

from peftuq.config import strict_yaml
from peftuq.config.study import PACKAGE, Study
from peftuq.errors import UserError
from peftuq.jobs.jobs import Jobs
from peftuq.planning import budget, plan, table
from peftuq.planning.cards import CARDS
from peftuq.planning.rehearsals import Rehearsals
from peftuq.planning.requests import requests

ROOT = PACKAGE.parents[1]


def _plan(args: argparse.Namespace) -> Iterable[str]:
    config, where = strict_yaml.read(args.configfile), str(args.configfile)
    _check_out(args)
    jobs = Jobs(Study(config, ROOT / "config", where))
    rehearsals = Rehearsals(Path(jobs.study.config.results), CARDS["a100-80"], os.cpu_count() or 1)
    if args.budget_hours is None:
        return plan.describe(jobs, rehearsals)
    steps = budget.fit(config, ROOT / "config", args.budget_hours, where, rehearsals)
    return plan.describe_budget(steps, args.budget_hours, args.budget_out)


def _check_out(args: argparse.Namespace) -> None:
    """Nothing that is there is written over, the configuration least of all."""
    out = args.budget_out
    if out is None:
        return
    if args.budget_hours is None:
        raise UserError("--budget-out: needs --budget-hours, the GPU-hours that its configuration is to fit")
    if os.path.lexists(out):
        raise UserError(f"--budget-out: {out} is there already: name a new file")
    if not out.absolute().parent.is_dir():
        raise UserError(f"--budget-out: there is no folder {out.absolute().parent}: make it, or name another")


def _hours(text: str) -> float:
    hours = float(text)
    if not 0 < hours < math.inf:
        raise argparse.ArgumentTypeError(f"must be a number above 0, got {text}")
    return hours


def _count(text: str) -> int:
    count = int(text)
    if not 0 < count <= 1024:
        raise argparse.ArgumentTypeError(f"must be from 1 to 1024, got {text}")
    return count


def _rehearse(args: argparse.Namespace) -> Iterable[str]:
    jobs = Jobs(Study(strict_yaml.read(args.configfile), ROOT / "config", str(args.configfile)))
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
    planning.add_argument("--budget-hours", type=_hours, help="GPU-hours: what to leave out to need no more")
    planning.add_argument("--budget-out", type=Path, help="file for the configuration that leaves it out")
    asking = commands.add_parser("why", help="which change of configuration or code makes a job run again")
    asking.add_argument("target", help="an output file, or <rule>/<wildcards> as the job's log is named")
    asking.set_defaults(lines=_why)
    rehearsing = commands.add_parser("rehearse", help="memory, work and faults of every GPU job, without a GPU")
    rehearsing.set_defaults(lines=_rehearse)
    rehearsing.add_argument("--card", choices=list(CARDS), default="a100-80")
    rehearsing.add_argument("--jobs", type=_count, default=1, help="processes that rehearse at a time")
    for command in (planning, asking, rehearsing):
        command.add_argument("--configfile", type=Path, default=ROOT / "config" / "config.yaml")
    args = parser.parse_args()
    try:
        print("\n".join(args.lines(args)), flush=True)
    except UserError as error:
        _fail(str(error))
    except KeyboardInterrupt:
        _fail("interrupted", 128 + signal.SIGINT)
    except BrokenPipeError:
        _fail("standard output was closed before all was written")
    except OSError as error:
        _fail(f"{error.filename or 'standard output'}: {error.strerror or error}")


def _fail(reason: str, status: int = 2) -> NoReturn:
    print(f"error: {reason}", file=sys.stderr)
    sys.stderr.flush()
    os._exit(status)  # what standard output still holds may be what could not be written
