"""Progress of a long job: one plain line every few seconds, to its log and to stderr."""

import contextlib
import sys
import time
from collections.abc import Callable
from pathlib import Path


class Log:
    """A job's log file, rewritten at each start; every line also goes to stderr under the job's name.

    Of several processes that share a job only the first, number 0, writes what all would; `failure` is for any of them.
    """

    def __init__(self, path: str | Path | None, name: str, process: int = 0):
        self._name = name if process == 0 else f"{name} (process {process})"
        self._is_main = process == 0
        self._file = None
        if path is not None:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            if self._is_main:
                Path(path).write_text("")
            self._file = open(path, "a", buffering=1)

    def __call__(self, line: str) -> None:
        if self._is_main:
            self.failure(line)

    def failure(self, line: str) -> None:
        """Write what this process alone may have to say."""
        if self._file is not None:
            # A full disk loses lines of the log, not hours of a training: a result that does not fit fails by itself.
            with contextlib.suppress(OSError):
                self._file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {line}\n")
        with contextlib.suppress(OSError):
            print(f"{self._name}: {line}", file=sys.stderr, flush=True)


class Progress:
    """Counts work done and now and then logs its share, rate and remaining time."""

    def __init__(self, log: Log, what: str, total: int, unit: str, done: int = 0, every: float = 10.0):
        self._log, self._what, self._total, self._unit, self._every = log, what, total, unit, every
        self._done = self._begun_at = done
        self._start = self._last = time.monotonic()

    def __call__(self, amount: int, note: Callable[[], str] | None = None) -> None:
        """Count `amount`; `note()`, which may be costly, is asked only for a line that is written."""
        self._done += amount
        now = time.monotonic()
        if now - self._last < self._every and self._done < self._total:
            return
        self._last = now
        rate = (self._done - self._begun_at) / max(now - self._start, 1e-9)
        remaining = (self._total - self._done) / rate if rate else 0.0
        line = f"{self._what} {self._done}/{self._total}, {rate:.3g} {self._unit}/s, {remaining:.0f} s left"
        self._log(line if note is None else f"{line}, {note()}")
