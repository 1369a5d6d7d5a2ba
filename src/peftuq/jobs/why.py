"""`peftuq why`: what would make a job run again, in words.

Snakemake decides, by its records of past jobs. This module reads what it compares and names what differs: keys of the
configuration and definitions of the code rather than "params".
"""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from snakemake.api import SnakemakeApi
from snakemake.exceptions import RuleException, WorkflowError

from peftuq.errors import UserError
from peftuq.files import read_json
from peftuq.jobs import changes, graph, identity

_IDENTITY = re.compile(r"[0-9a-f]{16}(:[0-9a-f]{16}){2,}")
_DIGEST = re.compile(r"[0-9a-f]{16}")
Root = tuple[str, tuple[str, ...]]  # a rule, and what changed for a job of it


def explain(target: str, snakefile: Path, configfile: Path) -> list[str]:
    """Lines about `target`: an output file, or `<rule>/<wildcards>` as its log is named.

    Raises `UserError` if no job of the configuration makes it.
    """
    with SnakemakeApi(graph.QUIET) as api:
        for alone in (True, False):  # a file's own jobs are found quickest; any name, among all jobs
            opened = graph.opened(api, snakefile, configfile)
            try:
                # A result that is missing makes those due that were made of it, as it does in a whole run.
                targets = {target, *opened._workflow.globals["missing"]} if alone else set()
                workflow = graph.built(opened, targets, rerun_incomplete=False)
            except (WorkflowError, RuleException) as error:
                if alone:
                    continue
                raise UserError(str(error).strip().splitlines()[0]) from error
            reasons = Reasons(workflow)
            for job in workflow.dag.jobs:
                if reasons.makes(job, target):
                    return list(reasons.lines(job))
    raise UserError(f"{target}: no job of {configfile} makes it; name an output file, or <rule>/<wildcards> like a log")


class Reasons:
    """Why jobs of a Snakemake workflow, whose graph has been built, would run."""

    def __init__(self, workflow: Any):
        self._dag, self._records = workflow.dag, workflow.persistence
        self._run = workflow.async_run
        self._jobs = workflow.globals["jobs"]
        self._own: dict[Any, list[str]] = {}
        self._roots: dict[Any, frozenset[Root]] = {}
        self._reported: set[Root] = set()

    def makes(self, job: Any, target: str) -> bool:
        return target in job.output or any(log.endswith(f"/logs/{target}.log") for log in job.log)

    def lines(self, job: Any) -> Iterator[str]:
        """A headline, and indented what it rests on, each change once: on the shortest of the ways it comes by."""
        name = f"{job.output[0] if job.output else job.rule.name} ({job.rule.name})"
        if not self._dag.needrun(job):
            yield f"{name}: nothing to do"
            return
        made = all(self._records.metadata(path) is not None for path in job.output)
        yield f"{name} would be made{' again' if made else ''}:"
        yield from self._below(job, "  ")

    def _below(self, job: Any, indent: str) -> Iterator[str]:
        yield from (f"{indent}{line}" for line in self.own(job))
        self._reported.add((job.rule.name, tuple(self.own(job))))
        alike: dict[Any, list[Any]] = {}
        for earlier in self._earlier(job):
            alike.setdefault((earlier.rule.name, self._changes(earlier)), []).append(earlier)
        for (_, found), (first, *others) in sorted(alike.items(), key=lambda item: len(item[0][1])):
            if found <= self._reported:
                continue
            files = [path for path in job.input if path in self._dag.dependencies[job][first]]
            more = f" and {len(others)} like it" if others else ""
            yield f"{indent}because its input {files[0]}{more} would be made ({first.rule.name}):"
            yield from self._below(first, f"{indent}  ")

    def _earlier(self, job: Any) -> list[Any]:
        """The jobs before this one that would run, too."""
        return [earlier for earlier in self._dag.dependencies[job] if self._dag.needrun(earlier)]

    def _changes(self, job: Any) -> frozenset[Root]:
        """All that changed for a job and for those before it."""
        if job not in self._roots:
            own = {(job.rule.name, tuple(self.own(job)))} if self.own(job) else set()
            self._roots[job] = frozenset(own.union(*map(self._changes, self._earlier(job))))
        return self._roots[job]

    # -- one job's own reasons -------------------------------------------------------------------------

    def own(self, job: Any) -> list[str]:
        """Changes in a job itself, apart from inputs that other jobs would make again."""
        if job not in self._own:
            self._own[job] = list(self._outputs(job)) or [*self._inputs(job), *self._params(job), *self._others(job)]
        return self._own[job]

    def _outputs(self, job: Any) -> Iterator[str]:
        if job.output and not any(self._records.metadata(path) for path in job.output):
            yield "it has not been made yet"
            return
        missing = [Path(path) for path in job.output if not Path(path).exists()]
        if len(missing) == len(job.output) > 0:
            yield "its output is missing"
        elif missing:
            yield f"of its output is missing: {', '.join(path.name for path in missing)}"
        elif self._run(self._records.incomplete(job)):
            yield "its last run did not end"

    def _inputs(self, job: Any) -> Iterator[str]:
        recorded = [self._records.input(path) for path in job.output]
        old = set().union(*(files for files in recorded if files is not None))
        if any(self._records.input_changed(job)):
            yield from (f"its input {path} is new" for path in sorted(set(job.input) - old))
            yield from (f"its input {path} is gone" for path in sorted(old - set(job.input)))
        made_again = {path for earlier in self._earlier(job) for path in earlier.output}
        yield from (f"its input {path} changed" for path in sorted(self._dag.reason(job).updated_input - made_again))

    def _params(self, job: Any) -> Iterator[str]:
        difference = self._records.params_changed(job)
        old = [ast.literal_eval(text) for text in sorted(difference.only_old)]
        names = {repr(value): name for name, value in job.params.items()}
        for text in sorted(difference.only_new):
            yield from self._param(job, names.get(text, "a parameter"), ast.literal_eval(text), old)

    def _param(self, job: Any, name: str, new: Any, old: list[Any]) -> Iterator[str]:
        """Snakemake keeps parameters without their names: the old value is the one that looks like the new."""
        if name == "identity":
            return  # of what else is named here, and of the inputs' own jobs
        if name == "code":
            yield from self._code(new, [value for value in old if _looks(value) == "digest"])
        elif list(job.output) == [self._jobs.paths.cells]:
            now = json.loads(identity.spec(**self._jobs.list_cells.cells))
            was = json.loads(identity.spec(**read_json(job.output[0])))
            yield from changes.of_values(was, now)
        else:
            like = [value for value in old if _looks(value) == _looks(new)]
            if len(like) != 1 or _looks(new) == "digest":
                yield f"its {name} changed"
            elif _looks(new) == "spec":
                yield from (f"its {name}: {line}" for line in changes.of_values(json.loads(like[0]), json.loads(new)))
            else:
                yield f"its {name}: {like[0]} → {new}"

    def _code(self, new: str, old: list[str]) -> Iterator[str]:
        described = [path for digest in old if (path := Path(self._jobs.paths.code(digest))).is_file()]
        if described:
            yield from changes.of_code(read_json(described[0]), self._jobs.codes.now(new))
        else:
            yield "its code changed (what it was is not recorded)"

    def _others(self, job: Any) -> Iterator[str]:
        if any(self._records.code_changed(job)):
            yield f"the command of rule {job.rule.name} changed"
        if any(self._records.software_stack_changed(job)):
            yield "its software environment changed"


def _looks(value: Any) -> str:
    if isinstance(value, str) and _IDENTITY.fullmatch(value):
        return "identity"
    if isinstance(value, str) and value.startswith("{"):
        return "spec"
    return "digest" if isinstance(value, str) and _DIGEST.fullmatch(value) else "other"
