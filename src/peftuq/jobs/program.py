"""The frame of every script of the workflow: named arguments, a log, reuse of earlier results, one way to end.

A script declares its arguments as a dataclass and hands its `main` to `run`. `main` imports what it computes with: a
result that is reused needs none of it. Threads of numerical libraries are set by the workflow, in the environment.
"""

import argparse
import dataclasses
import gc
import json
import os
import signal
import sys
import traceback
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

from peftuq import files, launch
from peftuq.errors import UserError
from peftuq.jobs import store
from peftuq.progress import Log

INPUT, OUTPUT = "input", "output"
Input = Annotated[str, INPUT]  # a file whose content decides what the job makes
Output = Annotated[str, OUTPUT]  # a file or folder that the job makes, whole or not at all


@dataclasses.dataclass(frozen=True, kw_only=True)
class Arguments:
    """Arguments that every script has. A field of a script's own is `--<name> VALUE`, a list `--<name> VALUE …`, and
    one with a default may be left out; a `spec` is JSON, of the pydantic model that it is declared as. `code`: the
    digest of the job's code, which makes it reusable.
    """

    log: str | None = None
    threads: int = 1
    code: str | None = None


A = TypeVar("A", bound=Arguments)


def run(
    purpose: str | None,
    kind: type[A],
    main: Callable[[A, Log], None],
    processes: Callable[[A], int] = lambda arguments: 1,
) -> None:
    """Parse the command line as a `kind`, and run `main` unless an earlier job has made the same of the same inputs.

    `processes` says how many run it together. What is done once for a job is done before they are launched, or by the
    main one of them.
    """
    arguments = parse(purpose, kind)
    outputs = [path for paths in _paths(arguments, OUTPUT).values() for path in paths]
    _clean_up_when_asked_to_stop()
    log = Log(arguments.log, f"{Path(sys.argv[0]).stem} {outputs[0]}", launch.rank() or 0)
    if launch.rank() is None:
        for output in outputs:
            files.sweep(output)
    gc.set_threshold(100_000)  # what is imported stays: to look for garbage in it takes a sixth of a job's start
    key = None
    if arguments.code is not None and "PEFTUQ_STORE" in os.environ and launch.is_main():
        kept, key = store.Store(Path(os.environ["PEFTUQ_STORE"])), _key(arguments, outputs)
        if launch.rank() is None and _restored(kept, key, outputs):
            log("unchanged inputs: reused")
            return
    launch.launch(processes(arguments))
    _execute(main, arguments, log)
    if key is not None:
        try:
            kept.keep(key, outputs)
        except OSError as error:
            log(f"done, but not kept for reuse: {error}")


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
            type=json.loads if name == "spec" else int if hint is int else str,
        )
    values = vars(parser.parse_args(words))
    for name, hint in hints.items():
        if hasattr(hint, "model_validate"):
            values[name] = hint.model_validate(values[name])
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


def _roles(hint: Any) -> set[Any]:
    """The marks on a type, or on what it holds: list[Input], Input | None."""
    marks = set(getattr(hint, "__metadata__", ()))
    return marks.union(*map(_roles, typing.get_args(hint))) if typing.get_args(hint) else marks


# -- reuse ------------------------------------------------------------------------------------------------


def _key(arguments: Arguments, outputs: list[str]) -> str:
    facts = {"script": Path(sys.argv[0]).name, "code": arguments.code, "spec": plain(getattr(arguments, "spec", None))}
    return store.key(facts, _paths(arguments, INPUT), outputs)


def _restored(kept: store.Store, key: str, outputs: list[str]) -> bool:
    try:
        return kept.restore(key, outputs)
    except OSError:  # a full disk, or a store that is being removed: the job says so itself, or can do without
        return False


# -- how a job ends ---------------------------------------------------------------------------------------


def _clean_up_when_asked_to_stop() -> None:
    """SIGTERM ends the process as an exception does, so that nothing half written is left."""
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))


def _execute(main: Callable[[A, Log], None], arguments: A, log: Log) -> None:
    """Run `main`: a user's mistake ends in one line, anything else also leaves its traceback in the log.

    Processes that share a job find the same mistakes, and the main one says so.
    """
    try:
        main(arguments, log)
    except UserError as error:
        log(f"error: {error}")
        sys.exit(2)
    except OSError as error:
        # A full or read-only disk is the user's to mend; outputs that exist are whole (artifacts.py).
        log.failure(f"error: {error.strerror or error}" + (f": {error.filename}" if error.filename else ""))
        sys.exit(2)
    except Exception as error:
        full = type(error).__name__ == "SafetensorError" and "I/O error" in str(error)  # its writer raises no OSError
        log.failure(f"error: {error}" if full else traceback.format_exc())
        sys.exit(2 if full else 1)
