"""What a job took: seconds of a clock, and the peak of its own memory, not of a process that started it."""

import subprocess
import sys
import time

import pytest

from peftuq import usage

MIB = 2**20
CHILD = """
from peftuq import usage
before = usage.peak_mib()
block = bytearray({size})
full = usage.peak_mib()
del block
print(before, full, usage.peak_mib(), usage.device())
"""


def test_the_peak_is_the_processs_own_and_stays():
    size = 96 * MIB
    here = bytearray(size)  # what starts the job is larger than the job
    printed = subprocess.run(
        [sys.executable, "-c", CHILD.format(size=size)], capture_output=True, text=True, check=True
    ).stdout.split()
    before, full, after = map(float, printed[:3])
    assert before < 90 and len(here) == size
    assert full - before == pytest.approx(96, abs=4)
    assert after == pytest.approx(full, abs=4)
    assert printed[3] == "cpu"


def test_seconds_and_examples_are_counted(monkeypatch):
    monkeypatch.setattr(time, "monotonic", lambda: 12.5)
    assert {"examples": 7, "seconds": 2.5}.items() <= usage.measured(7, 10.0).items()
