"""The state of a job that is due: from Snakemake's marks and records, and from the job's log."""

import os
from types import SimpleNamespace as Namespace

import pytest

from peftuq.jobs import status

ENDED = 1_000_000.0  # when the outputs were last made


class Records:
    """Snakemake's records of one output."""

    def __init__(self, marked: bool, recorded: bool):
        self._marked, self._recorded = marked, recorded

    def _get_key(self, path):
        return path

    def _filter_incomplete_keys(self, keys):
        return set(keys) if self._marked else set()

    def metadata(self, path):
        return Namespace(endtime=ENDED) if self._recorded else None


def state(tmp_path, said: str | None, later: float = 0.0, marked=False, recorded=True, locked=False) -> str:
    log = tmp_path / "job.log"
    if said is not None:
        log.write_text(f"2026-01-31 12:00:00 begun\n2026-01-31 12:00:05 {said}\n")
        os.utime(log, (ENDED + later, ENDED + later))
    records = Records(marked, recorded)
    return status._state(Namespace(output=["out"]), records, locked, str(log), status.last_line(log))


@pytest.mark.parametrize("expected, case", [
    ("due", {"said": None, "recorded": False}),  # never tried
    ("due", {"said": "7 metrics"}),  # made, and since then something that it depends on has changed
    ("due", {"said": "unchanged inputs: reused", "later": 9e5}),  # outputs out of the store are older than its log
    ("failed", {"said": "error: out of memory"}),
    ("failed", {"said": "epoch 3", "later": 60}),  # killed: another attempt has begun the log anew
    ("failed", {"said": "epoch 3", "recorded": False}),
    ("failed", {"said": "epoch 3", "marked": True}),  # its Snakemake was killed, too
    ("running", {"said": "epoch 3", "marked": True, "locked": True}),
    ("due", {"said": None, "locked": True}),
])  # fmt: skip
def test_a_job_that_is_due_may_run_or_have_failed(tmp_path, expected, case):
    assert state(tmp_path, **case) == expected


def test_the_last_line_is_the_last_that_says_something_however_long_the_log(tmp_path):
    log = tmp_path / "job.log"
    assert status.last_line(log) == ""
    log.write_text("")
    assert status.last_line(log) == ""
    log.write_bytes(b"line\n" * 100_000 + "é last\n\n".encode())
    assert status.last_line(log) == "é last"
