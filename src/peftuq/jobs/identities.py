"""The identity of every file of a run, as it is planned: what a job's inputs must be, and what its outputs are.

A file is known by its path below `results`, and by the spec, the code and the inputs' identities of the job that makes
it. What a user supplies has none: that its content changed is for Snakemake to see.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from types import SimpleNamespace
from typing import Any, Protocol

from peftuq import integrity
from peftuq.files import write_json
from peftuq.jobs.wildcards import PATTERNS
from peftuq.paths import Paths


class Maker(Protocol):
    """Needs of a rule, as far as they make the identity of a job."""

    def inputs(self, w: Any) -> Any: ...
    def named(self, w: Any) -> Any: ...
    def spec(self, w: Any) -> str: ...
    def code(self, w: Any) -> str: ...


class Identities:
    """Identities of all files below `paths.results`, once every pattern of them is declared with its rule."""

    def __init__(self, paths: Paths):
        self._paths = paths
        self._rules: list[tuple[re.Pattern[str], Callable[[Any], Maker]]] = []
        self._known: dict[str, integrity.Identity | None] = {}
        self._made: dict[tuple[Any, ...], integrity.Made] = {}

    def declare(self, rules: Mapping[str, Callable[[Any], Maker]]) -> None:
        """Patterns of paths, each with the rule that makes them, of given wildcards."""
        self._rules += [(_expression(pattern), rule) for pattern, rule in rules.items()]

    def of(self, path: str) -> integrity.Identity | None:
        """A file's identity; None for one that no job makes."""
        if path not in self._known:
            self._known[path] = self._of(path)
        return self._known[path]

    def _of(self, path: str) -> integrity.Identity | None:
        for expression, rule in self._rules:
            if found := expression.fullmatch(path):
                w = SimpleNamespace(**found.groupdict())
                return integrity.Identity(integrity.relative(path, self._paths.results), self.made(rule(w), w))
        return None

    def made(self, rule: Maker, w: Any) -> integrity.Made:
        """The identity of one job, which its outputs share."""
        key = (rule, *(getattr(w, name, None) for name in PATTERNS))
        if key not in self._made:
            code, inputs = rule.code(w), integrity.of_inputs(self._digests(rule.inputs(w)))
            self._made[key] = integrity.Made(integrity.digest(rule.spec(w)), code or integrity.digest(), inputs)
        return self._made[key]

    def job(self, rule: Maker, w: Any) -> str:
        """The text of an `integrity.Job`: what it makes, and what the inputs must be that its command names."""
        return str(integrity.Job(self.made(rule, w), frozenset(self._digests(rule.named(w)))))

    def _digests(self, inputs: Any) -> set[str]:
        return {found.digest for path in _flat(inputs) if (found := self.of(path)) is not None}

    def start(self) -> None:
        """A run begins: list all identities for jobs whose command could not name so many."""
        known = {found.path: found.digest for found in self._known.values() if found is not None}
        write_json(self._paths.identities, known)


def _expression(pattern: str) -> re.Pattern[str]:
    """A regular expression of a path with wildcards; only the names of wildcards stand in braces."""
    parts = re.split(r"\{(" + "|".join(PATTERNS) + r")\}", pattern)
    named = (re.escape(part) if i % 2 == 0 else f"(?P<{part}>{PATTERNS[part]})" for i, part in enumerate(parts))
    return re.compile("".join(named))


def _flat(inputs: Any) -> Iterator[str]:
    """Paths, however a rule names its inputs."""
    if isinstance(inputs, str):
        yield inputs
        return
    for part in inputs.values() if isinstance(inputs, Mapping) else inputs:
        yield from _flat(part)
