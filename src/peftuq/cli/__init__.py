"""Uncertainty of fine-tuned language models: plan a benchmark, rehearse it, and ask what it did."""

import argparse
import importlib
import os
import signal
import sys
from pathlib import Path
from typing import NoReturn

from peftuq.errors import UserError


def main() -> None:
    """Runs the command that the first argument names: the module of this package called so, `-` for `_`.

    A module's docstring says what the command does, with examples; `add_arguments(parser)` declares what it takes, and
    `run(args)` gives the lines that it prints. Exits with status 2 and one line for a `UserError`.
    """
    args = parser().parse_args()
    try:
        print("\n".join(args.run(args)), flush=True)
    except UserError as error:
        _fail(str(error))
    except KeyboardInterrupt:
        _fail("interrupted", 128 + signal.SIGINT)
    except BrokenPipeError:
        _fail("standard output was closed before all was written")
    except OSError as error:
        _fail(f"{error.filename or 'standard output'}: {error.strerror or error}")


def parser() -> argparse.ArgumentParser:
    """The parser of the command line, with every command's own."""
    whole = argparse.ArgumentParser(prog="peftuq", description=__doc__)
    commands = whole.add_subparsers(dest="command", required=True)
    for file in sorted(Path(__file__).parent.glob("[a-z]*.py")):
        module = importlib.import_module(f"peftuq.cli.{file.stem}")
        name, text = file.stem.replace("_", "-"), module.__doc__ or ""
        command = commands.add_parser(
            name,
            help=text.split("\n")[0].rstrip(".").replace("%", "%%"),
            description=text,
            formatter_class=argparse.RawDescriptionHelpFormatter,  # examples stand in lines of their own
        )
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    return whole


def _fail(reason: str, status: int = 2) -> NoReturn:
    print(f"error: {reason}", file=sys.stderr)
    sys.stderr.flush()
    os._exit(status)  # what standard output still holds may be what could not be written
