"""Arguments of several commands, and the forms of their output."""

import argparse
import json
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from peftuq.jobs.jobs import Jobs

ROOT = Path(__file__).resolve().parents[3]
RED, GREEN, YELLOW, BOLD = 31, 32, 33, 1


def add_configfile(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--configfile", type=Path, default=ROOT / "config" / "config.yaml", help="the run's file")


def add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")


def jobs(configfile: Path) -> "Jobs":
    """Jobs of the run that a configuration file describes. Raises `UserError` for one that is not valid."""
    from peftuq.config import strict_yaml
    from peftuq.config.study import Study
    from peftuq.jobs.jobs import Jobs

    return Jobs(Study(strict_yaml.read(configfile), ROOT / "config", str(configfile)))


def count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be 1 or more, got {text}")
    return number


# -- what is printed ------------------------------------------------------------------------------------


def as_json(value: Any) -> list[str]:
    return json.dumps(value, indent=1, allow_nan=False).splitlines()


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], names: int, form: str = "simple") -> list[str]:
    """Texts as a table, the first `names` columns to the left, the others to the right; `form`: one of tabulate's."""
    from tabulate import tabulate

    align = ["left" if n < names else "right" for n in range(len(heads))]
    return str(tabulate(list(rows), heads, form, disable_numparse=True, colalign=align)).splitlines()


def painted(text: str, colour: int) -> str:
    """`text` in a colour on a terminal that shows colours, unless NO_COLOR asks for none (no-color.org)."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or not sys.stdout.isatty()
    return text if plain else f"\033[{colour}m{text}\033[0m"
