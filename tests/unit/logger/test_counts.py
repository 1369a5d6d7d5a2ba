"""Progress of a run: counts and the time that is left, by hand; what a terminal shows and what a file keeps."""

import os
import pty
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from snakemake_logger_plugin_progress.counts import Counts
from snakemake_logger_plugin_progress.display import Display, clock

SOURCE = Path(__file__).parents[3] / "src"


def halfway() -> Counts:
    """Two jobs at a time: trainings of 30 s, one done and one 10 s old; two short jobs of 5 s done of ten."""
    counts = Counts({"train": 2, "score": 10, "report": 1}, now=0)
    counts.started(1, "train", 0)
    counts.started(2, "score", 0)
    counts.ended(2, 5)
    counts.started(3, "score", 5)
    counts.ended(3, 10)
    counts.ended(1, 30)
    counts.started(4, "train", 30)
    return counts


def test_jobs_are_counted_by_rule():
    counts = halfway()
    assert (counts.done, counts.total) == (3, 13)
    train, score, report = counts.rules.values()
    assert (train.done, len(train.running), train.left) == (1, 1, 0)
    assert (score.done, score.left, report.left) == (2, 8, 1)


def test_the_time_left_is_the_work_left_over_what_ran_at_a_time():
    counts = halfway()
    train, score, report = 30 - 10, 8 * 5, 40 / 3  # a report takes as long as the three that are done, on average
    at_a_time = (30 + 5 + 5 + 10) / 40
    assert counts.remaining(40) == pytest.approx((train + score + report) / at_a_time)
    assert counts.remaining(40, "score") == pytest.approx(score / at_a_time)


def test_a_job_that_takes_longer_than_the_others_is_not_late_by_less_than_nothing():
    assert halfway().remaining(300, "train") == 0


def test_before_a_job_is_done_nobody_knows():
    counts = Counts({"train": 2}, now=0)
    counts.started(1, "train", 0)
    assert counts.remaining(100) is None


def test_a_failed_job_is_none_that_is_left():
    counts = halfway()
    counts.ended(4, 50, failed=True)
    assert counts.rules["train"].failed == {4} and counts.remaining(50, "train") == 0
    counts.ended(99, 60)  # of a run before this one
    assert counts.done == 3


def test_a_job_that_is_tried_again_has_not_failed():
    counts = Counts({"train": 1}, now=0)
    counts.started(1, "train", 0)
    counts.ended(1, 5, failed=True)
    counts.started(1, "train", 6)
    assert counts.rules["train"].left == 0 and not counts.rules["train"].failed
    counts.ended(1, 16)
    assert counts.done == 1 and counts.remaining(16) == 0


@pytest.mark.parametrize("seconds, text", [(0.4, "0:00"), (65, "1:05"), (3700, "1:01:40")])
def test_times_are_read_as_on_a_clock(seconds, text):
    assert clock(seconds) == text


@pytest.mark.parametrize("height, shown", [(20, ["train", "score", "report", "all"]), (4, ["train", "all"])])
def test_a_low_terminal_shows_the_rules_that_run(height, shown, monkeypatch):
    display, out = Display(StringIO(), nocolor=True), StringIO()
    display._counts = halfway()
    display._console = Console(file=out, width=100, height=height)
    display._console.print(display.table())
    assert [line.split()[0] for line in out.getvalue().splitlines()] == shown


SNAKEFILE = """
rule all:
    input: "b"
rule made:
    output: "a"
    log: "made.log"
    shell: "echo a job speaks >&2; touch {output}"
rule broken:
    input: "a"
    output: "b"
    log: "broken.log"
    shell: "echo 'no such luck' > {log}; exit 1"
"""


@pytest.fixture
def snakemake(tmp_path):
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--logger", "progress"]
    return command, {"cwd": tmp_path, "env": {**os.environ, "PYTHONPATH": str(SOURCE), "TERM": "xterm"}}


@pytest.mark.slow
def test_a_terminal_shows_progress_and_a_file_keeps_every_line(snakemake, tmp_path):
    command, options = snakemake
    own, theirs = pty.openpty()
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, **options)
    os.close(theirs)
    shown = b""
    while chunk := _read(own):
        shown += chunk
    assert process.wait() == 1
    text = shown.decode()
    assert "failed: broken: no such luck (broken.log" in text and "1 of 2 jobs done" in text
    assert "a job speaks" not in text and "rule made:" not in text
    (kept,) = (tmp_path / ".snakemake/log").glob("*.lines.log")
    assert str(kept.relative_to(tmp_path)) in text
    lines = kept.read_text()
    assert "a job speaks\n" in lines and "rule made:" in lines and "1 of 3 steps (33%) done" in lines


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 4096)
    except OSError:  # the other end is closed
        return b""


@pytest.mark.slow
def test_without_a_terminal_there_are_plain_lines_as_ever(snakemake, tmp_path):
    command, options = snakemake
    ran = subprocess.run(command, capture_output=True, text=True, **options)
    assert "a job speaks\n" in ran.stderr and "rule made:" in ran.stderr and "\033" not in ran.stderr
    assert not list((tmp_path / ".snakemake/log").glob("*.lines.log"))
