"""The tables that `make test-gpu` leaves in results/gpu.md, in Markdown, for docs/gpu.md."""

import datetime
from pathlib import Path

from hardware import Processor, gib

JOBS = ("job", "rows of tokens", "GiB", "rehearsed", "apart", "ms", "roofline", "times", "host waits, rehearsed")
CHECKS = ("check", "found")


class Measurements:
    """Rows of both tables, in the order in which they were measured."""

    def __init__(self) -> None:
        self.jobs: list[tuple[str, ...]] = []
        self.checks: list[tuple[str, ...]] = []

    def job(self, *cells: str) -> None:
        """Add a row under `JOBS`."""
        assert len(cells) == len(JOBS)
        self.jobs.append(cells)

    def check(self, what: str, found: str) -> None:
        self.checks.append((what, found))

    def markdown(self, hardware: Processor, versions: dict[str, str]) -> str:
        card = f"{hardware.count} × {hardware.name}, {gib(hardware.memory):.1f} GiB"
        software = ", ".join(f"{name} {version}" for name, version in versions.items())
        first = f"{card}; {software}; {datetime.date.today().isoformat()}."
        return "\n".join([first, "", *_table(JOBS, self.jobs), "", *_table(CHECKS, self.checks), ""])

    def write(self, path: Path, hardware: Processor, versions: dict[str, str]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.markdown(hardware, versions))


def _table(columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (columns, ("---",) * len(columns), *rows)]
