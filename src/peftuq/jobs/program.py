"""The frame of every script of the workflow: named arguments, a log, reuse of earlier results, one way to end.

A script declares its arguments as a dataclass and hands its `main` to `run`. `main` imports what it computes with: a
result that is reused needs none of it. Threads of numerical libraries are set by the workflow, in the environment.
"""

import argparse
import dataclasses
import errno
import functools
import gc
import json
import os
import re
import signal
import sys
import traceback
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

from peftuq import fetched, files, integrity, launch
from peftuq.errors import UserError
from peftuq.jobs import failure, store
from peftuq.paths import Paths
from peftuq.progress import Log

INPUT, OUTPUT = "input", "output"
Input = Annotated[str, INPUT]  # a file whose content decides what the job makes
Output = Annotated[str, OUTPUT]  # a file or folder that the job makes, whole or not at all


@dataclasses.dataclass(frozen=True, kw_only=True)
class Arguments:
    """Arguments that every script has. A field of a script's own is `--<name> VALUE`, a list `--<name> VALUE …`, and
    one with a default may be left out; a `spec` is JSON, of the pydantic model that it is declared as. `code`: the
    digest of the job's code, which makes it reusable. `identity`: what the job makes, and of what, as the workflow has
    it (`jobs.identities`): its inputs are checked against it, and its outputs carry it.
    """

    log: str | None = None
    threads: int = 1
    code: str | None = None
    identity: str | None = None


A = TypeVar("A", bound=Arguments)


def run(
    purpose: str | None,
    kind: type[A],
    main: Callable[[A, Log], None],
    processes: Callable[[A], int] = lambda arguments: 1,
) -> None:
    """Parse the command line as a `kind`, and run `main` unless an earlier job has made the same of the same inputs.

    `processes`: how many processes run it together. What is done once for a job is done before they are launched, or by
    the main one of them.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: sys.exit(128 + number))  # ends as an exception does
    arguments = parse(purpose, kind)
    try:
        log = _prepare(arguments)
    except OSError as error:
        sys.exit(f"error: {_fault(error, arguments)}")
    if launch.rank() is None:
        _execute(_check, arguments, log)
    entry = _entry(arguments)
    if entry is not None and launch.rank() is None and entry.restored():
        _execute(_embed, arguments, log)
        log("unchanged inputs: reused")
        return
    launch.launch(processes(arguments))
    _execute(main, arguments, log)
    if launch.is_main():
        _execute(_embed, arguments, log)
    if entry is not None:
        entry.keep(log)


def _prepare(arguments: Arguments) -> Log:
    """The job's log; nothing is left of an attempt that was killed, and nothing half written if this one is stopped."""
    gc.set_threshold(100_000)  # what is imported stays: to look for garbage in it takes a sixth of a job's start
    outputs = _outputs(arguments)
    if launch.rank() is None:
        for output in outputs:
            files.sweep(output)
    return Log(arguments.log, f"{Path(sys.argv[0]).stem} {outputs[0]}", launch.rank() or 0)


# -- arguments --------------------------------------------------------------------------------------------


def parse(purpose: str | None, kind: type[A], words: list[str] | None = None) -> A:
    """The command line (or `words`) as a `kind`."""
    parser, hints = argparse.ArgumentParser(description=purpose), typing.get_type_hints(kind)
    for name, hint in hints.items():
        field = kind.__dataclass_fields__[name]
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            required=required,
            default=None if required else field.default,
            nargs="*" if _is_list(hint) else None,
            type=int if hint is int else str,
        )
    values = vars(parser.parse_args(words))
    if "spec" in hints:
        model = getattr(hints["spec"], "model_validate_json", json.loads)
        values["spec"] = model(values["spec"])
    return kind(**values)


def plain(spec: Any) -> Any:
    """A spec as it was given: what a model adds for itself, such as defaults, is left out."""
    return spec.model_dump(mode="json", exclude_unset=True) if hasattr(spec, "model_dump") else spec


def _is_list(hint: Any) -> bool:
    return typing.get_origin(hint) is list


def _paths(arguments: Arguments, role: str) -> dict[str, list[str]]:
    """The paths of a role that were given, by the argument's name, in the order of their declaration."""
    found: dict[str, list[str]] = {}
    for name, hint in typing.get_type_hints(type(arguments), include_extras=True).items():
        value = getattr(arguments, name)
        if role in _roles(hint) and value is not None:
            found[name] = value if isinstance(value, list) else [value]
    return found


def _outputs(arguments: Arguments) -> list[str]:
    return [path for paths in _paths(arguments, OUTPUT).values() for path in paths]


def _roles(hint: Any) -> set[Any]:
    """The marks on a type, or on what it holds: list[Input], Input | None."""
    marks = set(getattr(hint, "__metadata__", ()))
    return marks.union(*map(_roles, typing.get_args(hint))) if typing.get_args(hint) else marks


# -- identities ---------------------------------------------------------------------------------------------


def _check(arguments: Arguments, log: Log) -> None:
    """Refuse inputs that are damaged, or not what the workflow expects."""
    if arguments.identity is not None:
        expected = integrity.Job.parse(arguments.identity).expected
        for path in (path for paths in _paths(arguments, INPUT).values() for path in paths):
            integrity.check(path, expected)
            if Path(path).name == fetched.PROVENANCE:
                integrity.check_fetched(Path(path))


def _embed(arguments: Arguments, log: Log) -> None:
    """Let the outputs carry their identities; one that another job made, of the same result, has that job's."""
    if arguments.identity is not None:
        made, results = integrity.Job.parse(arguments.identity).made, os.environ[integrity.RESULTS]
        for path in filter(os.path.isfile, _outputs(arguments)):
            identity = integrity.Identity(integrity.relative(path, results), made)
            if integrity.identity(path) != identity:
                integrity.embed(path, identity)


def checks(arguments: Arguments, results: str) -> Callable[[str | Path], None]:
    """A check of files below `results` that are read without being named as inputs: each once, before it is used.

    The run's list of identities is written as it starts. On a machine without it (it shares no file system with the
    submitting host) files are checked for their bytes and names.
    """
    if arguments.identity is None:
        return lambda path: None
    listed = Path(Paths(results).identities)
    expected = files.read_json(listed) if listed.is_file() else {}

    @functools.cache
    def check(path: str | Path) -> None:
        known = expected.get(integrity.relative(str(path), results))
        integrity.check(path, None if known is None else {known})

    return check


# -- reuse ------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class _Entry:
    """A job's outputs in the store."""

    store: store.Store
    key: str
    outputs: list[str]

    def restored(self) -> bool:
        """Whether the outputs were there and are back."""
        try:
            return self.store.restore(self.key, self.outputs)
        except OSError:  # a full disk, or a store that is being removed: the job meets it itself, or can do without
            return False

    def keep(self, log: Log) -> None:
        try:
            self.store.keep(self.key, self.outputs)
        except OSError as error:
            log(f"done, but not kept for reuse: {error}")


def _entry(arguments: Arguments) -> _Entry | None:
    """None for a job that is not kept: one without `code` or store, and processes that are not the main one."""
    if arguments.code is None or "PEFTUQ_STORE" not in os.environ or not launch.is_main():
        return None
    spec, outputs = plain(getattr(arguments, "spec", None)), _outputs(arguments)
    facts = {"script": Path(sys.argv[0]).name, "code": arguments.code, "spec": spec}
    key = store.key(facts, _paths(arguments, INPUT), outputs)
    return _Entry(store.Store(Path(os.environ["PEFTUQ_STORE"])), key, outputs)


# -- how a job ends ---------------------------------------------------------------------------------------


def _execute(main: Callable[[A, Log], None], arguments: A, log: Log) -> None:
    """Run a part of the job: a user's mistake ends it in one line, anything else also leaves its traceback in the log.

    A line that names its place follows the traceback. Processes that share a job find the same mistakes, and the main
    one logs them.
    """
    try:
        main(arguments, log)
    except UserError as error:
        log(f"error: {error}")
        sys.exit(2)
    except OSError as error:
        # A full or read-only disk is the user's to mend; outputs that exist are whole (artifacts.py).
        log.failure(f"error: {_fault(error, arguments)}")
        sys.exit(2)
    except Exception as error:
        if type(error).__name__ == "SafetensorError" and "I/O error" in str(error):  # its writer raises no OSError
            number = re.search(r"os error (\d+)", str(error))
            log.failure(f"error: {_fault(OSError(int(number[1]) if number else errno.EIO, str(error)), arguments)}")
            sys.exit(2)
        log.failure(traceback.format_exc())
        log.failure(f"error: {failure.line(error, _plugins(arguments))}")
        sys.exit(1)


def _plugins(arguments: Arguments) -> list[str]:
    """Modules of the plug-ins that a job's spec names."""
    spec = getattr(arguments, "spec", None)
    return [module for key in ("module", "adapter") if isinstance(module := getattr(spec, key, None), str)]


def _fault(error: OSError, arguments: Arguments) -> str:
    """A disk without room is that of the outputs, whichever file the system names."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return f"{_outputs(arguments)[0]}: {os.strerror(error.errno)}: make room there and run again"
    return f"{error.strerror or error}" + (f": {error.filename}" if error.filename else "")
