"""How far a run is: by rule, the jobs that are done, running, failed and due.

Snakemake decides what is due, as it would for a run that starts now. Of what is due it knows which jobs have been
started, by its marks of incomplete outputs and its lock. Of failures it keeps no record: they are read from the logs,
which every job writes anew and in whose last line it says why it failed.
"""

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, NamedTuple

from snakemake.api import SnakemakeApi
from snakemake.exceptions import RuleException, WorkflowError

from peftuq.errors import UserError
from peftuq.jobs import graph

State = Literal["done", "running", "failed", "due"]
_TAIL = 4096  # bytes of a log in which its last line stands
_ERROR = re.compile(r"\S+ \S+ error: ")  # after date and time (jobs.program)
_REUSED = "reused"  # the end of a log whose job has found its outputs in the store, with the times of their making
_ATTEMPTS = 5  # at a plan, which fails where a run removes a file at that moment
_SLACK = 2.0  # seconds after its outputs in which a job may close its log


class Job(NamedTuple):
    """A job of the run; `last_line` of its `log`, "" where it has none or the job is done."""

    rule: str
    state: State
    output: str
    log: str
    last_line: str


class Status(NamedTuple):
    """All jobs of a run; `locked` while a Snakemake runs, or after one was killed."""

    jobs: list[Job]
    locked: bool

    def by_rule(self) -> dict[str, Counter[str]]:
        """Jobs by state of every rule, in the order of their names."""
        found: dict[str, Counter[str]] = {}
        for job in self.jobs:
            found.setdefault(job.rule, Counter())[job.state] += 1
        return dict(sorted(found.items()))


def status(snakefile: Path, configfile: Path) -> Status:
    """The state of every job of a configuration. Raises `UserError` if Snakemake cannot plan it."""
    with SnakemakeApi(graph.QUIET) as api:
        for more in reversed(range(_ATTEMPTS)):
            try:
                workflow = graph.built(graph.opened(api, snakefile, configfile), [], rerun_incomplete=True)
                return Status(sorted(_jobs(workflow)), workflow.persistence.locked)
            except (WorkflowError, RuleException) as error:
                if not (more and "concurrent process" in str(error)):
                    raise UserError(str(error).strip().splitlines()[0]) from error
    raise AssertionError("every attempt returns or raises")


def _jobs(workflow: Any) -> Iterable[Job]:
    records, locked = workflow.persistence, workflow.persistence.locked
    for job in workflow.dag.jobs:
        if job.output:  # the target `all` makes nothing
            log = next(iter(job.log), "")
            due = workflow.dag.needrun(job)
            said = last_line(Path(log)) if log and due else ""
            state = _state(job, records, locked, log, said) if due else "done"
            yield Job(job.rule.name, state, str(job.output[0]), str(log), said)


def _state(job: Any, records: Any, locked: bool, log: str, said: str) -> State:
    if records._filter_incomplete_keys(map(records._get_key, job.output)):
        return "running" if locked else "failed"
    if not log or not Path(log).is_file():
        return "due"
    ends = [record.endtime for path in job.output if (record := records.metadata(path)) is not None]
    later = not ends or (Path(log).stat().st_mtime > max(ends) + _SLACK and not said.endswith(_REUSED))
    return "failed" if later or _ERROR.match(said) else "due"


def last_line(log: Path) -> str:
    """The last line of a text file that says something; "" where there is none."""
    if not log.is_file():
        return ""
    with open(log, "rb") as file:
        file.seek(max(0, log.stat().st_size - _TAIL))
        lines = file.read().decode(errors="replace").split("\n")
    return next((line for line in reversed(lines) if line.strip()), "").strip()
