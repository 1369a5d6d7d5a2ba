"""The base of every rule's needs, and the command-line options that rules share."""

import os
import re
import shlex
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, ClassVar

from peftuq.jobs import identity
from peftuq.jobs.context import Context
from peftuq.strict import Strict


class Rule:
    """Needs of one rule of the workflow, or of the family of rules that run one script.

    `inputs(w)`: files by name or as a list; `spec(w)`: all the configuration that the job sees, as canonical JSON;
    `code(w)`: the digest of the code that it runs.
    """

    script: ClassVar[str]

    def __init__(self, context: Context):
        self._context, self._study, self._paths = context, context.study, context.paths

    def inputs(self, w: Any) -> Any:
        return []

    def named(self, w: Any) -> Any:
        """The inputs that stand in the job's command."""
        return self.inputs(w)

    def spec(self, w: Any) -> str:
        return ""

    def identity(self, w: Any) -> str:
        """Text by which the job checks its inputs and marks its outputs."""
        return self._context.identities.job(self, w)

    def code(self, w: Any) -> str:
        return self._context.code(self.script, self.plugins(w))

    def plugins(self, w: Any) -> list[Path]:
        """Files that the script imports by a name from its spec."""
        return []


class ModelRule(Rule):
    """A rule that runs a saved adapter, or its recipe's untuned model, on parts of its data."""

    def plugins(self, w: Any) -> list[Path]:
        return [self._context.kind_file(w.recipe)]

    def _model_inputs(self, w: Any, parts: list[str]) -> dict[str, Any]:
        inputs: dict[str, Any] = {
            "model": self._paths.model(w.model),
            "data": self._context.data(w.dataset, parts),
        }
        if self._context.recipe(w.recipe).adapter is not None:
            adapter = self._context.adapter(w)
            inputs |= {"adapter": self._paths.adapter(*adapter), "adapter_config": self._paths.adapter_config(*adapter)}
        return inputs

    def _model_spec(self, w: Any) -> dict[str, Any]:
        setting = self._context.setting(w)
        task = self._context.task(setting, self._study.evals(setting))
        return {"task": task, "adapter": self._context.kind_module(w.recipe)}


def canonical(spec: Strict) -> str:
    """The spec of a job, as its script parses it, in the form that Snakemake keeps."""
    return identity.spec(**spec.model_dump())


def pattern(names: Iterable[str]) -> str:
    """A regular expression that matches exactly these names; one that matches nothing if there are none."""
    return "|".join(map(re.escape, sorted(set(names)))) or "(?!)"


def flag(name: str, files: Any) -> str:
    """The option `--<name> FILE` for an input or output that a job has; nothing for one that it has not."""
    given = dict(files.items()).get(name)
    return "" if given is None else f"--{name.replace('_', '-')} {shlex.quote(str(given))}"


def input_flags(*names: str) -> Callable[[Any, Any], str]:
    """A parameter: the options for those named inputs that a job has."""
    return lambda wildcards, input: " ".join(flag(name, input) for name in names)


def output_flags(*names: str) -> Callable[[Any, Any], str]:
    """A parameter: the options for those named outputs that a job has."""
    return lambda wildcards, output: " ".join(flag(name, output) for name in names)


def results_folder(wildcards: Any, input: Any) -> str:
    """A parameter: the folder below which all of a run's paths lie (`peftuq.paths`), for jobs with thousands of inputs.

    A command line does not hold so many names (128 KiB in Linux). It is that of the input `cells`: a storage provider
    keeps a run's files in one folder of its own, by the same paths.
    """
    return os.path.dirname(str(input.cells))
