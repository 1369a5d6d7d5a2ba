"""Behaviour common to all scripts: arguments, and that a killed job leaves nothing behind for good."""

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from peftuq.jobs import program
from peftuq.strict import Strict

SCRIPT = """
import os, signal
from dataclasses import dataclass
from peftuq import files
from peftuq.jobs import program
from peftuq.strict import Strict

@dataclass(frozen=True, kw_only=True)
class Arguments(program.Arguments):
    number: int
    result: program.Output
    weights: program.Output

def main(args, log):
    with files.atomic(args.result) as file, files.atomic_folder(os.path.dirname(args.weights)) as folder:
        file.write_text("half")
        (folder / os.path.basename(args.weights)).write_text("half")
        if args.number:
            os.kill(os.getpid(), args.number)
            import time; time.sleep(60)

program.run("Writes a file and a folder.", Arguments, main)
"""


def run(folder: Path, number: int) -> int:
    outputs = ["--result", str(folder / "result"), "--weights", str(folder / "adapter/weights")]
    command = [sys.executable, "-c", SCRIPT, "--number", str(int(number)), *outputs]
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


# -- arguments -----------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Example(program.Arguments):
    spec: dict[str, Any]
    data: list[program.Input]
    made: program.Output
    folder: str
    adapter_config: program.Input | None = None
    epochs: program.Output | None = None


GIVEN = ["--spec", '{"a": [1]}', "--data", "x", "y", "--made", "z", "--folder", "f"]


def test_arguments_are_named_and_typed():
    found = program.parse("p", Example, [*GIVEN, "--threads", "3", "--adapter-config", "c"])
    assert found == Example(spec={"a": [1]}, data=["x", "y"], made="z", folder="f", adapter_config="c", threads=3)
    assert program._paths(found, program.INPUT) == {"data": ["x", "y"], "adapter_config": ["c"]}
    assert program._paths(found, program.OUTPUT) == {"made": ["z"]}
    recorded = program.parse("p", Example, [*GIVEN, "--epochs", "e"])
    assert program._paths(recorded, program.OUTPUT) == {"made": ["z"], "epochs": ["e"]}


@pytest.mark.parametrize("words, message", [
    (GIVEN[2:], "the following arguments are required: --spec"),
    ([*GIVEN, "--adaptor", "c"], "unrecognized arguments: --adaptor c"),
])  # fmt: skip
def test_an_argument_too_few_or_too_many_is_named(capsys, words, message):
    with pytest.raises(SystemExit):
        program.parse("p", Example, words)
    assert message in capsys.readouterr().err


class Spec(Strict):
    numbers: dict[str, float]
    named: str = "default"


@dataclass(frozen=True, kw_only=True)
class Typed(program.Arguments):
    spec: Spec


def test_a_spec_is_parsed_into_its_model_and_back():
    parsed = program.parse(None, Typed, ["--spec", '{"numbers":{"one":1}}'])
    assert parsed.spec == Spec(numbers={"one": 1.0})
    assert program.plain(parsed.spec) == {"numbers": {"one": 1}}
