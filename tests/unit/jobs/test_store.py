"""Outputs of jobs come back to the byte, for the same content and for nothing else."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from peftuq.jobs import store

ROOT = Path(__file__).parents[3]
FACTS = {"script": "fit_scores.py", "code": "0123456789abcdef", "spec": {"power": 2}}


@pytest.fixture
def kept(tmp_path) -> store.Store:
    return store.Store(tmp_path / "store")


def write(path: Path, content: str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return str(path)


# -- keys ----------------------------------------------------------------------------------------------


def key(inputs=None, outputs=("out/a.json",), **facts) -> str:
    return store.key(FACTS | facts, inputs or {}, outputs)


def test_a_key_depends_on_content_and_on_neither_path_nor_time(tmp_path):
    one, other = write(tmp_path / "a/x.bin", "same"), write(tmp_path / "b/y.bin", "same")
    os.utime(other, (1, 1))
    assert key({"data": [one]}) == key({"data": [other]})
    write(tmp_path / "b/y.bin", "diff")
    assert key({"data": [one]}) != key({"data": [other]})


def test_a_key_depends_on_everything_else_that_decides_a_job(tmp_path, monkeypatch):
    a, b = write(tmp_path / "a", "a"), write(tmp_path / "b", "b")
    keys = [
        key({"data": [a, b]}),
        key({"data": [b, a]}),
        key({"data": [a], "more": [b]}),
        key({"data": [a, b]}, code="0" * 16),
        key({"data": [a, b]}, spec={"power": 3}),
        key({"data": [a, b]}, script="evaluate.py"),
        key({"data": [a, b]}, outputs=["out/b.json"]),
    ]
    assert len(set(keys)) == len(keys)
    monkeypatch.setattr(store, "software", lambda: ["torch-3.0.dist-info"])
    assert key({"data": [a, b]}) != keys[0]


def test_software_names_what_is_installed():
    import numpy

    assert f"numpy-{numpy.__version__}.dist-info" in store.software()


# -- contents ------------------------------------------------------------------------------------------


def test_outputs_come_back_to_the_byte(kept, tmp_path):
    outputs = [write(tmp_path / "out/a.json", "A"), write(tmp_path / "out/b.json", "B")]
    assert not kept.restore("k", outputs)
    kept.keep("k", outputs)
    for path in outputs:
        os.unlink(path)
    assert kept.restore("k", outputs)
    assert [Path(path).read_text() for path in outputs] == ["A", "B"]
    assert not kept.restore("other", outputs)


def test_contents_cost_no_disk_and_results_never_share_theirs(kept, tmp_path):
    first = write(tmp_path / "out/first.json", "same")
    kept.keep("first", [first])
    assert os.stat(first).st_nlink == 2
    second = write(tmp_path / "out/second.json", "same")
    kept.keep("second", [second])
    os.unlink(second)
    assert kept.restore("second", [second])
    assert not os.path.samefile(first, second)


@pytest.mark.parametrize("harm", ["edited", "removed"])
def test_content_that_is_not_itself_is_not_brought_back(kept, tmp_path, harm):
    outputs = [write(tmp_path / "out/a.json", "A"), write(tmp_path / "out/b.json", "B")]
    kept.keep("k", outputs)
    if harm == "edited":
        with open(outputs[1], "r+") as file:
            file.write("x")
    else:
        for path in (kept.folder / "objects").rglob("*"):
            if path.is_file() and path.read_text() == "B":
                path.unlink()
    for path in outputs:
        os.unlink(path)
    assert not kept.restore("k", outputs)
    assert not any(map(os.path.exists, outputs))
    write(tmp_path / "out/a.json", "A"), write(tmp_path / "out/b.json", "B")
    kept.keep("k", outputs)
    assert kept.restore("k", outputs)


def test_without_hard_links_contents_are_copied(kept, tmp_path, monkeypatch):
    def refuse(source, target):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "link", refuse)
    output = write(tmp_path / "out/a.json", "A")
    kept.keep("k", [output])
    os.unlink(output)
    assert kept.restore("k", [output]) and Path(output).read_text() == "A"


# -- programs ------------------------------------------------------------------------------------------

SCRIPT = """
    from dataclasses import dataclass
    from pathlib import Path
    from peftuq.jobs import program

    @dataclass(frozen=True, kw_only=True)
    class Arguments(program.Arguments):
        spec: dict
        numbers: list[program.Input]
        checkpoint: str
        sum: program.Output

    def main(args, log):
        total = sum(int(Path(path).read_text()) for path in args.numbers) + args.spec["plus"]
        if total < 0:
            raise ValueError("negative")
        Path(args.sum).write_text(str(total))

    program.run("Adds.", Arguments, main)
"""


@pytest.fixture
def add(tmp_path):
    script = write(tmp_path / "add.py", textwrap.dedent(SCRIPT))

    def run(*numbers: int, plus: int = 0, code: str | None = "abc", keep: bool = True) -> tuple[int, str, str]:
        files = [write(tmp_path / f"{i}.txt", str(number)) for i, number in enumerate(numbers)]
        command = [sys.executable, script, "--spec", json.dumps({"plus": plus}), "--numbers", *files]
        command += ["--checkpoint", str(tmp_path), "--log", str(tmp_path / "log"), "--sum", str(tmp_path / "sum")]
        command += ["--code", code] if code else []
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
        environment |= {"PEFTUQ_STORE": str(tmp_path / "store")} if keep else {}
        (tmp_path / "sum").unlink(missing_ok=True)
        ended = subprocess.run(command, env=environment, capture_output=True, text=True)
        made = (tmp_path / "sum").read_text() if (tmp_path / "sum").exists() else ""
        return ended.returncode, made, (tmp_path / "log").read_text()

    return run


def test_a_program_ends_at_once_if_an_earlier_one_made_the_same(add):
    assert add(1, 2)[1] == "3"
    code, made, log = add(1, 2)
    assert (code, made) == (0, "3") and "unchanged inputs: reused" in log
    for again in (add(1, 3), add(1, 2, plus=1), add(1, 2, code="abd"), add(1, 2, code=None), add(1, 2, keep=False)):
        assert again[0] == 0 and "reused" not in again[2]
    assert "reused" in add(1, 2)[2]


def test_a_failure_is_not_kept(add):
    for _ in range(2):
        code, made, log = add(1, plus=-5)
        assert code == 1 and made == "" and "negative" in log


def test_a_store_that_cannot_be_written_does_not_fail_the_job(add, tmp_path):
    write(tmp_path / "store", "a file where the folder should be")
    code, made, log = add(2, 2)
    assert (code, made) == (0, "4") and "not kept for reuse" in log
