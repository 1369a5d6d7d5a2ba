"""How far a run is: jobs done, running, failed and due, by rule, with the last line of what fails or runs.

What is due is what Snakemake would run now; a job counts as failed when its last attempt did not end well.

examples:
  peftuq status
  peftuq status --configfile config/paper.yaml
  watch -n 60 peftuq status                             while a cluster works
  peftuq status --json | jq '.jobs[] | select(.state == "failed") | .log'
"""

import argparse
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from peftuq.cli import _shared

if TYPE_CHECKING:
    from peftuq.jobs.status import Status

_COLOURS = {"done": _shared.GREEN, "running": _shared.YELLOW, "failed": _shared.RED, "due": _shared.BOLD}
_LISTED = ("running", "failed")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    _shared.add_configfile(parser)
    parser.add_argument("--lines", type=_shared.count, default=20, help="jobs listed of each state (default: 20)")
    _shared.add_json(parser)


def run(args: argparse.Namespace) -> Iterable[str]:
    from peftuq.config import strict_yaml

    strict_yaml.read(args.configfile)  # its own mistakes are said without Snakemake, which takes its time to import
    from peftuq.jobs import status

    found = status.status(_shared.ROOT / "Snakefile", args.configfile)
    return _shared.as_json(_facts(found)) if args.json else _text(found, args.lines)


def _facts(found: "Status") -> dict[str, Any]:
    rules = {rule: {state: counts[state] for state in _COLOURS} for rule, counts in found.by_rule().items()}
    listed = [job._asdict() for job in found.jobs if job.state in _LISTED]
    return {"locked": found.locked, "rules": rules, "jobs": listed}


def _text(found: "Status", most: int) -> list[str]:
    rules = found.by_rule()
    rows = [[rule, *(str(counts[state] or "") for state in _COLOURS)] for rule, counts in rules.items()]
    totals = {state: sum(counts[state] for counts in rules.values()) for state in _COLOURS}
    rows.append(["all", *(str(total) for total in totals.values())])
    lines = _shared.table(["rule", *_COLOURS], rows, 1)
    for state in _LISTED:
        jobs = [job for job in found.jobs if job.state == state]
        if jobs:
            lines += ["", _shared.painted(f"{state}:", _COLOURS[state])]
        lines += [f"  {job.log or job.output}: {job.last_line or 'nothing said yet'}" for job in jobs[:most]]
        lines += [f"  and {len(jobs) - most} more (--lines)"] if len(jobs) > most else []
    return [*lines, "", _summary(totals, found.locked)]


def _summary(totals: dict[str, int], locked: bool) -> str:
    if totals["running"] + totals["failed"] + totals["due"] == 0:
        return _shared.painted("all is done", _shared.GREEN)
    if locked:
        return "a run holds this folder's lock; if none runs any more: snakemake --unlock"
    again = totals["failed"] + totals["due"]
    return f"{again} jobs would run: `peftuq why OUTPUT` says why one would"
