"""The counts of a run as lines that are redrawn, a rule each, on a terminal."""

import time
from typing import TextIO

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from snakemake_logger_plugin_progress.counts import Counts, Rule

_ASIDE = 3  # lines of the terminal that are no rule's


class Display:
    """Progress on a terminal's `stream`; `told` lines scroll above it."""

    def __init__(self, stream: TextIO, nocolor: bool):
        self._console = Console(file=stream, no_color=nocolor or None, highlight=False)
        self._counts: Counts | None = None
        self._live = Live(get_renderable=self.table, console=self._console, refresh_per_second=2, transient=True,
                          redirect_stdout=False, redirect_stderr=False)  # fmt: skip

    def start(self, counts: Counts) -> None:
        self._counts = counts
        self._live.start()

    def stop(self) -> None:
        self._live.stop()

    def tell(self, line: str, style: str = "") -> None:
        self._console.print(Text(line, style), soft_wrap=True)

    def table(self) -> Table:
        """A row a rule, those that are done left out where the terminal is too low, and a row of all."""
        table = Table.grid(padding=(0, 1))
        counts, now = self._counts, time.monotonic()
        if counts is None:
            return table
        rules = list(counts.rules.items())
        if len(rules) + _ASIDE > self._console.height:
            rules = [(name, rule) for name, rule in rules if rule.running or rule.failed]
        for name, rule in rules[: max(self._console.height - _ASIDE, 0)]:
            self._row(table, name, rule.done, rule.total, _state(rule, counts.remaining(now, name)), bool(rule.failed))
        left = counts.remaining(now)
        told = f"{clock(now - counts.start)} so far" + (f", about {clock(left)} left" if left is not None else "")
        self._row(table, "all", counts.done, counts.total, told, any(rule.failed for rule in counts.rules.values()))
        return table

    @staticmethod
    def _row(table: Table, name: str, done: int, total: int, state: str, failed: bool) -> None:
        style = "red" if failed else "green" if done == total else ""
        bar = ProgressBar(total=max(total, 1), completed=done, width=24)
        table.add_row(Text(name, style), bar, Text(f"{done}/{total}", justify="right"), Text(state))


def _state(rule: Rule, left: float | None) -> str:
    parts = [f"{len(rule.running)} running"] if rule.running else []
    parts += [f"{len(rule.failed)} failed"] if rule.failed else []
    parts += [f"about {clock(left)} left"] if left and rule.done + len(rule.failed) < rule.total else []
    return ", ".join(parts)


def clock(seconds: float) -> str:
    """65 → "1:05", 3700 → "1:01:40"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
