"""Snakemake's `--logger progress`: on a terminal, progress by rule with the time that is left; every line in a file.

What Snakemake and its jobs would have written to the terminal goes to a file of `.snakemake/log` instead, whole. Where
standard error is no terminal, that is what they do write there, as without this plug-in.
"""

import os
import sys
import time
from logging import WARNING, LogRecord
from pathlib import Path
from typing import Any

from snakemake.logging import ColorizingTextHandler, DefaultFilter, DefaultFormatter
from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

from snakemake_logger_plugin_progress.counts import Counts
from snakemake_logger_plugin_progress.display import Display, clock

_STDERR = 2
_TOLD = (
    "Building DAG",
    "Nothing to be done",
    "This was a dry-run",
    "Unlocking",
)  # lines of Snakemake that say where a run is


class LogHandler(LogHandlerBase):
    writes_to_stream, writes_to_file = True, False
    has_filter = has_formatter = True  # every record comes, and is filtered for the lines alone
    needs_rulegraph = False

    def __post_init__(self) -> None:
        self._counts: Counts | None = None
        self._terminal = None if self.common_settings.dryrun else _Terminal.take(self.common_settings.nocolor)
        stream = sys.stdout if self.common_settings.stdout else sys.stderr
        settings = self.common_settings
        self._lines = ColorizingTextHandler(settings.nocolor or self._terminal is not None, stream)
        self._lines.setFormatter(DefaultFormatter(settings.quiet, settings.show_failed_logs))
        self._lines.addFilter(
            DefaultFilter(
                settings.quiet, settings.debug_dag, settings.verbose, settings.dryrun, settings.printshellcmds
            )
        )

    def emit(self, record: LogRecord) -> None:
        self._lines.handle(record)
        if self._terminal is not None:
            self._show(record, self._terminal.display)

    def _show(self, record: Any, display: Display) -> None:
        event, now = getattr(record, "event", None), time.monotonic()
        if event == LogEvent.RUN_INFO and self._counts is None:
            totals = {rule: count for rule, count in record.stats.items() if rule not in ("total", "all")}
            self._counts = Counts(totals, now)
            display.start(self._counts)
        elif event == LogEvent.JOB_ERROR:
            if self._counts is not None:
                self._counts.ended(record.jobid, now, failed=True)
            display.tell(f"failed: {record.rule_name}: {_reason(record.log)}", "red")
        elif event in (None, LogEvent.ERROR):
            text = str(record.msg)
            if record.levelno >= WARNING or text.startswith(_TOLD):
                display.tell(text, "red" if record.levelno > WARNING else "")
        elif self._counts is not None:
            self._count(event, record, now)

    def _count(self, event: LogEvent, record: Any, now: float) -> None:
        assert self._counts is not None
        if event == LogEvent.JOB_INFO and record.rule_name != "all":
            self._counts.started(record.jobid, record.rule_name, now)
        elif event == LogEvent.JOB_FINISHED:
            self._counts.ended(record.job_id, now)

    def close(self) -> None:
        if self._terminal is not None:
            terminal, self._terminal = self._terminal, None
            terminal.display.stop()
            if self._counts is not None:
                spent = clock(time.monotonic() - self._counts.start)
                terminal.display.tell(f"{self._counts.done} of {self._counts.total} jobs done in {spent}")
            terminal.display.tell(f"every line: {terminal.file}")
            terminal.give_back()
        super().close()


class _Terminal:
    """The terminal, kept for progress while this process and its jobs write to `file`."""

    def __init__(self, file: Path, nocolor: bool):
        self.file = file
        self._stream = os.fdopen(os.dup(_STDERR), "w")
        self.display = Display(self._stream, nocolor)
        file.parent.mkdir(parents=True, exist_ok=True)
        with open(file, "ab") as lines:
            os.dup2(lines.fileno(), _STDERR)  # jobs inherit the descriptor, whatever Python's own stream is

    @classmethod
    def take(cls, nocolor: bool) -> "_Terminal | None":
        """None where standard error is no terminal that can be redrawn."""
        if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
            return None
        return cls(Path(".snakemake") / "log" / f"{time.strftime('%Y-%m-%dT%H%M%S')}.{os.getpid()}.lines.log", nocolor)

    def give_back(self) -> None:
        os.dup2(self._stream.fileno(), _STDERR)
        self._stream.close()


def _reason(logs: list[str]) -> str:
    """The last line of a failed job's log, and where the log is."""
    log = Path(logs[0]) if logs else None
    lines = log.read_text(errors="replace").split("\n") if log is not None and log.is_file() else []
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return f"{last} ({log})" if last else str(log or "it has no log")
