"""Jobs, GPU-hours, memory and disk of a configuration.

examples:
  peftuq plan
  peftuq plan --configfile config/paper.yaml
  peftuq plan --configfile config/paper.yaml --budget-hours 400 --budget-out trimmed.yaml
"""

import argparse
import math
import os
from collections.abc import Iterable
from pathlib import Path

from peftuq.cli import _shared
from peftuq.errors import UserError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    _shared.add_configfile(parser)
    parser.add_argument("--budget-hours", type=_hours, help="GPU-hours: what to leave out to need no more")
    parser.add_argument("--budget-out", type=Path, help="file for the configuration that leaves it out")
    _shared.add_json(parser)


def run(args: argparse.Namespace) -> Iterable[str]:
    from peftuq.config import strict_yaml
    from peftuq.planning import budget, plan
    from peftuq.planning.cards import CARDS
    from peftuq.planning.rehearsals import Rehearsals

    config, where = strict_yaml.read(args.configfile), str(args.configfile)
    _check_out(args)
    jobs = _shared.jobs(args.configfile)
    rehearsals = Rehearsals(Path(jobs.study.config.results), CARDS["a100-80"], os.cpu_count() or 1)
    if args.budget_hours is None:
        return _shared.as_json(plan.facts(jobs, rehearsals)) if args.json else plan.describe(jobs, rehearsals)
    steps = budget.fit(config, _shared.ROOT / "config", args.budget_hours, where, rehearsals)
    lines = plan.describe_budget(steps, args.budget_hours, args.budget_out)
    if not args.json:
        return lines
    list(lines)  # the configuration is written as they are made
    taken = [{"without": step.what, "gpu_hours": step.hours} for step in steps[1:]]
    return _shared.as_json({"gpu_hours": steps[0].hours, "steps": taken, "trim": steps[-1].config.get("trim")})


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
