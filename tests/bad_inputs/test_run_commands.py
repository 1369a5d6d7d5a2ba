"""Mistakes at the commands about a finished run, others' logs and the hub: one line that names what to mend."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from peftuq import cli, files
from peftuq.errors import UserError
from peftuq.evaluation.gather import COLUMNS

ROW = ("small", "one", "words", "words", "plain", "point", "sr", 0, "auroc", 0.75)
CELL = {"model": "one", "dataset": "words", "recipe": "plain", "seed": 0, "predictive": "point", "scores": ["softmax"],
        "evals": ["test"], "suites": ["small"]}  # fmt: skip
RUN = {
    "suites": {},
    "datasets": {"words": {}},
    "methods": {"softmax": {"variants": ["sr", "entropy"]}},
    "cells": [CELL],
}


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """A folder with a run of one metric, an adapter, a bundle, and files that are none of what they seem."""
    monkeypatch.chdir(tmp_path)
    files.write_columns("results/metrics.parquet", {name: [value] for name, value in zip(COLUMNS, ROW, strict=True)})
    files.write_json("results/cells.json", RUN)
    for folder in ("adapter", "pickled", "odd", "broken", "uq", "cut", "other"):
        Path(folder).mkdir()
    for folder in ("adapter", "odd", "broken"):
        save_file({"w": np.ones(1)}, f"{folder}/adapter_model.safetensors")
        Path(folder, "adapter_config.json").write_text('{"base_model_name_or_path": "/models/small"}')
    Path("broken/adapter_config.json").write_text("{")
    Path("odd/optimizer.pt").write_bytes(b"pickle")
    Path("pickled/adapter_config.json").write_text("{}")
    Path("pickled/adapter_model.bin").write_bytes(b"pickle")
    Path("cut/metrics.parquet").write_bytes(b"PAR1")
    Path("cut/cells.json").write_text("{")
    files.write_columns("other/metrics.parquet", {"a": [1]})
    files.write_json("other/cells.json", [1])
    for name, content in {"empty.jsonl": b"", "log.txt": b"", "latin.jsonl": b"\xe9", "half.jsonl": b'{"doc_id": 0,',
                          "half.json": b"{", "text.eval": b"text", "there.csv": b"kept"}.items():  # fmt: skip
        Path(name).write_bytes(content)
    return tmp_path


CASES = {
    # a finished run
    "show --results nowhere": "nowhere/metrics.parquet: there is no such file",
    "show --results cut": "cut/metrics.parquet: cannot be read",
    "show --results other": "other/metrics.parquet: has no column",
    "show --model two": "--model two: the run has none: choose from one",
    "show --suite large": "--suite large: the run has none: choose from small",
    "show --dataset others": "--dataset others",
    "show --eval others": "--eval others",
    "show --recipe other": "--recipe other",
    "show --predictive laplace": "--predictive laplace: the run has none: choose from point",
    "show --score mahalanobis": "--score mahalanobis: the run has none: choose from sr",
    "show --metric f1": "--metric f1: the run has none: choose from auroc",
    "show --sort f1": "--sort f1: no metric; choose from accuracy",
    "show --sort nll": "no row has nll",
    "export csv --sort auroc": "--sort: is for latex and leaderboard",
    "export csv --out there.csv": "--out there.csv: is there already",
    "export csv --out none/new.csv": "its folder is not",
    "export leaderboard --sort f1": "--sort f1: no metric",
    "export latex --model two": "--model two",
    "compare point/sr point/sr": "point/sr: compared with itself",
    "compare a/b/c point/sr": "a/b/c: no method: write [recipe:]predictive[/score]",
    "compare '' point/sr": "no method",
    "compare plain:point/sr point/entropy": "the recipe of both, or of neither",
    "compare point point/sr": "a score of both, or of neither",
    "compare laplace/sr point/sr": "laplace/sr: no cell of the run has it; predictives: point",
    "compare point/energy point/sr": "point/energy: no cell of the run has it",
    "compare point/sr point/entropy --metric nll": "--metric nll: scores are compared by one of auroc",
    "compare point temperature --metric auroc": "--metric auroc: predictives are compared by one of accuracy",
    "compare point temperature --metric f1": "--metric f1",
    "compare point/sr point/entropy": "softmax.parquet: is missing",
    "compare point/sr point/entropy --results nowhere": "nowhere/cells.json: there is no such file",
    "compare point/sr point/entropy --results cut": "cut/cells.json: not JSON",
    "compare point/sr point/entropy --results other": "other/cells.json: has no cells",
    "findings --results nowhere": "nowhere/metrics.parquet",
    "status --configfile nowhere.yaml": "nowhere.yaml",
    # others' logs
    "import-logits none.jsonl --out new": "none.jsonl: there is no such file",
    "import-logits adapter --out new": "adapter: name a .jsonl of lm-evaluation-harness",
    "import-logits log.txt --out new": "log.txt: name a .jsonl",
    "import-logits empty.jsonl --out new": "empty.jsonl: has no samples",
    "import-logits latin.jsonl --out new": "latin.jsonl: not UTF-8",
    "import-logits half.jsonl --out new": "half.jsonl: line 1: not JSON",
    "import-logits half.json --out new": "half.json: not JSON",
    "import-logits text.eval --out new": "text.eval: not a whole .eval log",
    "import-logits empty.jsonl --out adapter": "--out adapter: is there already",
    "import-logits empty.jsonl --out none/new": "its folder is not",
    "import-logits empty.jsonl --out new --model a/b": "--model a/b: use letters",
    "import-logits empty.jsonl --out new --dataset ../x": "--dataset ../x: use letters",
    "import-logits empty.jsonl --out new --valid none.jsonl": "empty.jsonl: has no samples|none.jsonl: there is no",
    # the hub
    "push none me/mine": "none: has no adapter_config.json",
    "push pickled me/mine": "pickled: has no adapter_model.safetensors",
    "push odd me/mine --base-model small": "odd/optimizer.pt: is not sent",
    "push broken me/mine": "broken/adapter_config.json: not a JSON mapping",
    "push adapter mine": "mine: no name of a repository: write owner/name",
    "push adapter me/mine/again": "no name of a repository",
    "push adapter me/mine": "base_model_name_or_path is '/models/small', no model of a hub",
    "push adapter me/mine --base-model ./small": "--base-model",
    "push adapter me/mine --base-model small --bundle none": "--bundle none: there is no such folder",
}


@pytest.mark.parametrize("words", CASES)
def test_a_mistake_is_one_line_that_names_it(here, count, words):
    import shlex

    before = sorted(here.rglob("*"))
    args = cli.parser().parse_args(shlex.split(words))
    with pytest.raises(UserError) as error:
        list(args.run(args))
    assert any(said in str(error.value) for said in CASES[words].split("|")), error.value
    assert "\n" not in str(error.value) and sorted(here.rglob("*")) == before
    count("command line")


@pytest.mark.parametrize("words", [
    "show --metric", "export", "export xml", "compare point/sr", "compare point/sr point/md --resamples 0",
    "compare point/sr point/md --resamples many", "status --lines 0", "status --lines -1", "import-logits a.jsonl",
    "push adapter", "completion", "completion fish", "show --colour", "tell",
])  # fmt: skip
def test_words_that_are_no_command_end_with_status_2(here, count, capsys, words):
    with pytest.raises(SystemExit) as ended:
        cli.parser().parse_args(words.split())
    assert ended.value.code == 2 and "error:" in capsys.readouterr().err.splitlines()[-1]
    count("command line")


def test_a_log_is_read_as_json_only(here, count):
    """A number that Python would take for one and JSON does not."""
    line = {
        "doc_id": 0,
        "target": "0",
        "arguments": [["Q", " a"], ["Q", " b"]],
        "resps": [[["1_0", "x"]], [["-1", "x"]]],
    }
    Path("line.jsonl").write_text(json.dumps(line))
    args = cli.parser().parse_args(["import-logits", "line.jsonl", "--out", "new"])
    with pytest.raises(UserError, match=r"line 1: resps\.0: '1_0' is no log-likelihood"):
        list(args.run(args))
    count("command line")
