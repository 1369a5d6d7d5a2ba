"""What every script has in common: threads are set in time, and a killed job leaves nothing behind for good."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import os, signal, sys
from peftuq import program

assert "numpy" not in sys.modules
args = program.arguments("Writes a file and a folder.", ["number"])

from peftuq import files
from peftuq.progress import Log

def main(log):
    result, inside = args.output
    with files.atomic(result) as file, files.atomic_folder(os.path.dirname(inside)) as folder:
        file.write_text("half")
        (folder / os.path.basename(inside)).write_text("half")
        if args.number != "0":
            os.kill(os.getpid(), int(args.number))
            import time; time.sleep(60)

program.run(main, Log(None, "job"))
"""


def run(folder: Path, number: int) -> int:
    outputs = [str(folder / "result"), str(folder / "adapter/weights")]
    command = [sys.executable, "-c", SCRIPT, "--number", str(number), "--output", *outputs]
    return subprocess.run(command).returncode


def test_a_job_that_is_asked_to_stop_cleans_up(tmp_path):
    assert run(tmp_path, signal.SIGTERM) == 128 + signal.SIGTERM
    assert not os.listdir(tmp_path)


def test_the_next_attempt_removes_what_a_killed_one_left(tmp_path):
    assert run(tmp_path, signal.SIGKILL) == -signal.SIGKILL
    assert len(os.listdir(tmp_path)) == 2
    (tmp_path / ".result2.x.part").touch()  # another job's
    assert run(tmp_path, 0) == 0
    assert sorted(os.listdir(tmp_path)) == [".result2.x.part", "adapter", "result"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_what_was_there_stays(tmp_path, number):
    assert run(tmp_path, 0) == 0
    run(tmp_path, number)
    assert (tmp_path / "result").is_file() and (tmp_path / "adapter/weights").is_file()
