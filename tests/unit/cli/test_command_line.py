"""Every command: help with examples that parse, a start without heavy libraries, completion, colours."""

import argparse
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from peftuq import cli
from peftuq.cli import _shared

HEAVY = {"torch", "transformers", "scipy", "sklearn", "pyarrow", "safetensors", "snakemake", "huggingface_hub", "rich",
         "tabulate", "shtab", "pandas", "numpy", "pydantic"}  # fmt: skip
SOURCE = Path(cli.__file__).parents[2]


def commands() -> dict[str, argparse.ArgumentParser]:
    parser = cli.parser()
    (subparsers,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    return dict(subparsers.choices)


COMMANDS = commands()


def examples(command: str) -> list[str]:
    """The command lines below "examples:", each up to a pipe, a redirection or the words that explain it."""
    text = COMMANDS[command].description.partition("examples:\n")[2]
    return [re.split(r" [|>&]|  +", line.strip())[0] for line in text.splitlines() if f"peftuq {command}" in line]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_examples_as_they_are_written_and_they_parse(command):
    shown = examples(command)
    assert shown
    for line in shown:
        assert line in COMMANDS[command].format_help()
        words = shlex.split(line.partition("peftuq ")[2])
        assert cli.parser().parse_args(words).command == command


def test_help_names_every_command():
    shown = cli.parser().format_help()
    assert all(command in shown for command in COMMANDS)


@pytest.mark.parametrize("command", sorted(COMMANDS.keys() - {"completion"}))
def test_every_command_prints_json_if_asked(command):
    assert "--json" in COMMANDS[command].format_help()


def test_a_command_starts_without_heavy_libraries():
    code = "import sys, peftuq.cli; peftuq.cli.parser(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONPATH": str(SOURCE)})
    assert done.returncode == 0, done.stderr
    assert {name.partition(".")[0] for name in done.stdout.split()} & HEAVY == set()


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_a_shell_can_read_its_completion_and_it_knows_every_command(shell):
    args = cli.parser().parse_args(["completion", shell])
    script = "\n".join(args.run(args))
    assert all(command in script for command in COMMANDS)
    if shell == "bash":
        assert subprocess.run(["bash", "-n"], input=script, text=True).returncode == 0


@pytest.mark.parametrize("variables, terminal, coloured", [
    ({}, True, True), ({}, False, False), ({"NO_COLOR": "1"}, True, False), ({"NO_COLOR": ""}, True, True),
    ({"TERM": "dumb"}, True, False),
])  # fmt: skip
def test_colours_are_for_terminals_that_want_them(variables, terminal, coloured, monkeypatch):
    monkeypatch.setattr(os, "environ", variables)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal, raising=False)
    assert ("\033[" in _shared.painted("x", _shared.RED)) == coloured
