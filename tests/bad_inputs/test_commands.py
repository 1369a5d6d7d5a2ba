"""Mistakes on the command line: exit status 2, one line on stderr, nothing written."""

import os
import subprocess
import sys

import pytest

HOURS = ["nan", "-1", "0", "inf", "much", "1e400"]
PLAN = ["plan"]


def run(checkout, *arguments: str, **options) -> subprocess.CompletedProcess:
    code = "import sys; sys.argv[0] = 'peftuq'; from peftuq.cli import main; main()"
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **options}, timeout=120)


def one_line(checkout, *arguments: str) -> str:
    said = run(checkout, *arguments)
    assert said.returncode == 2 and "Traceback" not in said.stderr, said.stderr
    assert said.stderr.strip().splitlines()[-1].count("error:") == 1
    assert checkout.kept() == ["kept.txt"]
    return said.stderr


@pytest.mark.parametrize("hours", HOURS)
def test_hours_that_are_no_budget(checkout, count, hours):
    assert "--budget-hours" in one_line(checkout, "plan", f"--budget-hours={hours}")
    count("command line")


@pytest.mark.parametrize("kind", ["configuration", "another file", "folder", "nowhere", "without hours"])
def test_a_budget_is_written_over_nothing(checkout, count, kind):
    config = checkout.root / "config.yaml"
    out = {"another file": checkout.root / "suites/small.yaml", "folder": checkout.root,
           "configuration": config, "nowhere": checkout.folder / "none/out.yaml",
           "without hours": checkout.folder / "out.yaml"}[kind]  # fmt: skip
    before = config.read_bytes()
    hours = [] if kind == "without hours" else ["--budget-hours", "5"]
    assert "--budget-out" in one_line(checkout, "plan", "--configfile", str(config), "--budget-out", str(out), *hours)
    assert config.read_bytes() == before
    count("command line")


@pytest.mark.parametrize("name, word", [("none.yaml", "no such file"), ("suites", "folder"), ("empty.yaml", "empty")])
def test_a_configuration_that_cannot_be_read(checkout, count, name, word):
    (checkout.root / "empty.yaml").write_text("")
    assert word in one_line(checkout, "plan", "--configfile", str(checkout.root / name))
    count("command line")


@pytest.mark.parametrize("jobs", ["0", "-3", "100000", "x"])
def test_processes_that_are_none(checkout, count, jobs):
    assert "--jobs" in one_line(checkout, "rehearse", f"--jobs={jobs}")
    count("command line")


def test_a_duplicate_key_is_refused_where_snakemake_reads_the_configuration(checkout, count):
    file = checkout.folder / "twice.yaml"
    file.write_text("suites: [demo]\nsources: [registry, hub]\nsources: [hub]\n")
    snakefile = checkout_root() / "Snakefile"
    command = [sys.executable, "-m", "snakemake", "-n", "-s", str(snakefile), "--configfile", str(file)]
    said = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert said.returncode != 0 and "twice.yaml: line 3" in said.stdout + said.stderr
    count("command line")


def checkout_root():
    from places import CONFIG

    return CONFIG.parent
