"""Files appear whole or not at all: when writing fails, when the disk is full, when the writer is killed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from peftuq import artifacts, files
from peftuq.errors import UserError

# A job that writes about 4 MB, in a process of its own: what the workflow's scripts do.
JOB = """
from dataclasses import dataclass
import numpy as np
from peftuq import files
from peftuq.jobs import program

@dataclass(frozen=True, kw_only=True)
class Arguments(program.Arguments):
    made: program.Output

def main(args, log):
    {before}
    files.write_{kind}(args.made, {{"x": np.random.default_rng(0).random(500_000)}})

program.run("Writes.", Arguments, main)
"""
FULL = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))"  # writes fail, as on a full disk


def run(path: Path, kind: str, before: str = "pass") -> subprocess.CompletedProcess:
    script = JOB.format(before=before, kind=kind)
    return subprocess.run([sys.executable, "-c", script, "--made", str(path)], capture_output=True, text=True)


@pytest.mark.parametrize("kind", ["arrays", "columns"])
def test_full_disk_is_one_line_and_keeps_what_was_there(tmp_path, kind):
    path = tmp_path / "out"
    path.write_text("before")
    ended = run(path, kind, FULL)
    assert ended.returncode == 2
    lines = (ended.stdout + ended.stderr).strip().splitlines()
    assert len(lines) == 1 and f"error: {path}: File too large: make room there" in lines[0]
    assert path.read_text() == "before" and os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize("kind", ["arrays", "columns"])
def test_the_same_job_on_a_disk_with_room_writes(tmp_path, kind):
    assert run(tmp_path / "out", kind).returncode == 0
    assert os.listdir(tmp_path) == ["out"]


def test_a_killed_writer_leaves_the_old_file(tmp_path):
    (tmp_path / "out").write_text("before")
    script = (
        "import os, signal, sys; from peftuq import files\n"
        "with files.atomic(sys.argv[1]) as t:\n    t.write_text('half'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    ended = subprocess.run([sys.executable, "-c", script, str(tmp_path / "out")])
    assert ended.returncode == -signal.SIGKILL and (tmp_path / "out").read_text() == "before"


def test_a_folder_is_replaced_whole_or_not_at_all(tmp_path):
    folder = tmp_path / "adapter"
    with files.atomic_folder(folder) as temporary:
        (temporary / "a").write_text("1")
    with pytest.raises(RuntimeError), files.atomic_folder(folder) as temporary:
        (temporary / "a").write_text("2")
        raise RuntimeError
    assert (folder / "a").read_text() == "1" and os.listdir(tmp_path) == ["adapter"]
    with files.atomic_folder(folder) as temporary:
        (temporary / "b").write_text("3")
    assert os.listdir(folder) == ["b"] and os.listdir(tmp_path) == ["adapter"]


def test_json_refuses_what_json_has_no_word_for(tmp_path):
    with pytest.raises(ValueError):
        files.write_json(tmp_path / "x.json", {"a": float("nan")})
    assert not os.listdir(tmp_path)


@given(hnp.arrays(np.float32, (3, 2), elements=st.floats(width=32, allow_nan=False)))
def test_records_survive_their_file(tmp_path_factory, logits):
    path = tmp_path_factory.mktemp("r") / "r.safetensors"
    label = np.array([0, 1, 0])
    record = artifacts.Record(np.arange(3), label, logits, None, flu=np.ones((3, 2, 2), np.float32))
    head = artifacts.Head(np.ones((2, 4), np.float32), activation="tanh")
    artifacts.write_records(path, {"test": record}, head, {"by": "test"})
    read = artifacts.RecordFile(path)
    assert (
        np.array_equal(read["test"].logits, logits) and read["test"].h is None and read["test"].flu.shape == (3, 2, 2)
    )
    assert read.head.activation == "tanh" and read.head.dense_weight is None and read.metadata["by"] == "test"


def test_the_same_arrays_are_the_same_bytes_in_every_process(tmp_path):
    script = (
        "import sys, numpy as np; from peftuq import files\n"
        "files.write_arrays(sys.argv[1], {'b': np.ones(2), 'a': np.zeros(3)}, {k: '1' for k in 'qwertyuiop'})"
    )
    for name in "xyz":
        subprocess.run([sys.executable, "-c", script, str(tmp_path / name)], check=True)
    assert len({(tmp_path / name).read_bytes() for name in "xyz"}) == 1
    assert files.ArrayFile(tmp_path / "x").metadata == dict.fromkeys("qwertyuiop", "1")


def test_a_truncated_file_is_named(tmp_path):
    path = tmp_path / "r.safetensors"
    files.write_arrays(path, {"x": np.zeros(1000)})
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UserError, match=r"r\.safetensors"):
        files.ArrayFile(path)


@given(st.integers(1, 5), st.integers(1, 6), st.integers(2, 5), st.integers(0, 99))
def test_softmax_is_a_distribution_and_never_gives_to_a_missing_option(m, n, c, seed):
    logits = np.random.default_rng(seed).normal(size=(m, n, c)) * 30
    logits[..., -1] = -np.inf
    probs = artifacts.softmax(logits)
    np.testing.assert_allclose(probs.sum(axis=-1), 1)
    assert (probs[..., -1] == 0).all() and (probs >= 0).all()
