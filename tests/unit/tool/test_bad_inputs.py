"""Mistakes in what `peftuq fit` and `peftuq score` are given: one line that names the file, the key and the remedy."""

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import own
import pandas as pd
import pytest
from safetensors.numpy import load_file, save_file

from peftuq.cli import fit as fit_command
from peftuq.cli import score as score_command
from peftuq.errors import UserError
from peftuq.tool import card


class Place:
    """A folder in which everything is as it should be: model, adapter, data.csv, new.csv and the bundle uq."""

    def __init__(self, folder: Path, mine) -> None:
        self.folder = folder
        for name, origin in (("model", mine.model), ("adapter", mine.adapter), ("uq", mine.uq)):
            shutil.copytree(origin, folder / name)
        mine.data.to_csv(folder / "data.csv", index=False)
        mine.new.to_csv(folder / "new.csv", index=False)

    def __truediv__(self, name: str) -> Path:
        return self.folder / name

    def json(self, name: str, **changes) -> None:
        found = json.loads((self / name).read_text())
        found |= changes
        (self / name).write_text(json.dumps({key: value for key, value in found.items() if value is not None}))

    def arrays(self, name: str, change: Callable[[dict], object]) -> None:
        found = load_file(self / name)
        change(found)
        save_file(found, self / name)

    def rows(self, name: str, change: Callable[[pd.DataFrame], pd.DataFrame | None]) -> None:
        frame = pd.read_csv(self / "data.csv", dtype=object)
        changed = change(frame)
        frame = frame if changed is None else changed
        {"csv": lambda: frame.to_csv(self / name, index=False), "parquet": lambda: frame.to_parquet(self / name)}[
            name.rpartition(".")[2]
        ]()


@pytest.fixture
def place(mine, tmp_path):
    return Place(tmp_path, mine)


def said(command, *given: str) -> str:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    with pytest.raises(UserError) as raised:
        list(command.run(parser.parse_args(given)))
    assert "\n" not in str(raised.value)
    return str(raised.value)


def fit(place: Place, *more: str, data: str = "data.csv") -> str:
    given = {"model": "model", "adapter": "adapter", "data": data, "out": "out"}
    paths = [part for name, value in given.items() for part in (f"--{name}", str(place / value))]
    classes = [] if "--classes" in more else ["--classes", ",".join(own.CLASSES)]
    found = said(fit_command, *paths, "--precision", "fp32", *classes, *more)
    assert not (place / "out").exists() or "--out" in found
    return found


def score(place: Place, *more: str, data: str = "new.csv", out: str = "out.parquet") -> str:
    found = said(
        score_command, "--uq", str(place / "uq"), "--data", str(place / data), "--out", str(place / out),
        "--model", str(place / "model"), "--adapter", str(place / "adapter"), *more,
    )  # fmt: skip
    assert not (place / out).is_file()
    return found


# -- tables ---------------------------------------------------------------------------------------------

CONTENT: dict[str, tuple[str, bytes, str]] = {
    "empty": ("x.csv", b"", "holds no rows"),
    "header alone": ("x.csv", b"text,label\n", "holds no rows"),
    "empty lines": ("x.jsonl", b"\n\n\n", "holds no rows"),
    "empty parquet": ("x.parquet", b"", "damaged"),
    "no parquet": ("x.parquet", b"text,label\na,no\n", "damaged"),
    "mixed encodings": ("x.csv", "text,label\nä,no\n".encode() + "ö,no\n".encode("latin-1"), "not UTF-8"),
    "UTF-16": ("x.csv", "text,label\na,no\n".encode("utf-16"), "not UTF-8"),
    "NUL": ("x.csv", b"text,label\na\0,no\n", "NUL"),
    "another delimiter": ("x.csv", b"text;label\na;no\n", "commas"),
    "old Mac": ("x.csv", b"text,label\ra,no\rb,no\r", "carriage return"),
    "ragged": ("x.csv", b"text,label\na,no\nb\n", "line 3 has 1 columns"),
    "open quote": ("x.csv", b'text,label\n"a,no\n', "damaged"),
    "two columns of a name": ("x.csv", b"text,text\na,no\n", "two columns"),
    "broken JSON": ("x.jsonl", b'{"text": "a", "label": 0}\n{"text": \n', "line 2"),
    "no object": ("x.jsonl", b'["a", 0]\n', "no object"),
    "key twice": ("x.jsonl", b'{"text": "a", "text": "b"}\n', "two columns"),
    "no gzip": ("x.csv.gz", b"text,label\na,no\n", "damaged"),
    "another format": ("x.xlsx", b"PK", "save it as one of these"),
    "no text column": ("x.csv", b"sentence,label\na,no\n", "has no column 'text', only sentence, label"),
}


@pytest.mark.parametrize("kind", CONTENT)
def test_files_that_are_no_table(place, kind):
    name, content, word = CONTENT[kind]
    (place / name).write_bytes(content)
    assert word in fit(place, data=name) and name in fit(place, data=name)
    assert word in score(place, data=name)
    assert word in fit(place, "--train", str(place / name))


def test_a_line_of_200_MB(place):
    for name in ("x.csv", "x.jsonl"):
        with open(place / name, "wb") as file:
            file.write(b"text,label\n" if name == "x.csv" else b'{"text": "')
            file.truncate(200_000_000)
        assert "longer than" in fit(place, data=name)
        assert "longer than" in score(place, data=name)


def test_files_that_are_not_there(place):
    assert "no such file" in fit(place, data="none.csv")
    assert "no such file" in score(place, data="none.csv")
    assert "no such file" in fit(place, "--train", str(place / "none.csv"))
    (place / "folder.csv").mkdir()
    assert "no such file" in fit(place, data="folder.csv")


def _set(row: int, column: str, value: object) -> Callable[[pd.DataFrame], None]:
    return lambda frame: frame.__setitem__(column, [value if i == row else v for i, v in enumerate(frame[column])])


ROWS: dict[str, tuple[Callable[[pd.DataFrame], pd.DataFrame | None], str]] = {
    "no label column": (lambda frame: frame.drop(columns="label"), "has no column 'label'"),
    "missing label": (_set(4, "label", None), "row 5: label is missing"),
    "NaN label": (_set(0, "label", float("nan")), "row 1: label is missing"),
    "unknown class": (_set(7, "label", "maybe"), "row 8: label is 'maybe', none of no, perhaps, yes"),
    "label too high": (_set(7, "label", "3"), "no number from 0 to 2"),
    "negative label": (_set(7, "label", "-1"), "no number from 0 to 2"),
    "half a label": (_set(7, "label", "1.5"), "none of no"),
    "missing text": (_set(2, "text", None), "row 3: text is"),
    "empty text": (_set(2, "text", " \t"), "row 3: text is"),
    "one class": (lambda frame: frame.assign(label="no"), "all 300 rows have the label no"),
    "few rows": (lambda frame: frame[:40], "has 40 rows: 60 or more"),
    "many bad rows": (lambda frame: frame.assign(label="?"), "and 299 more rows"),
}


@pytest.mark.parametrize("ending", ["csv", pytest.param("parquet", marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", ROWS)
def test_rows_that_cannot_be_fitted_on(place, kind, ending):
    change, word = ROWS[kind]
    place.rows(f"x.{ending}", change)
    assert word in fit(place, data=f"x.{ending}")


def test_a_list_where_a_text_is_wanted(place):
    (place / "x.jsonl").write_text("".join(json.dumps({"text": ["a"], "label": i % 2}) + "\n" for i in range(80)))
    assert "row 1: text is a list" in fit(place, data="x.jsonl")
    (place / "x.jsonl").write_text('{"text": "\\ud800", "label": 0}\n')
    assert "half of a character" in fit(place, data="x.jsonl")


@pytest.mark.slow
def test_an_adapter_that_is_always_right(place, mine):
    import peftuq

    answers = peftuq.score(mine.uq, mine.data)["answer"]
    place.rows("x.csv", lambda frame: frame.assign(label=answers.to_numpy()))
    assert "answered wrong" in fit(place, data="x.csv")


# -- options --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("classes", ["no,yes", "no,perhaps,yes,never", "no,no,yes"])
def test_classes_that_are_not_the_outputs(place, classes):
    assert "--classes: the adapter's head has 3 outputs" in fit(place, "--classes", classes)


def test_a_class_whose_column_would_be_another(place):
    assert "none may be 'wrong'" in fit(place, "--classes", "right,wrong,neither")


def test_options_of_a_choice_for_a_classifier(place):
    assert "--options" in fit(place, "--options", "label", "text")
    assert "--prompt" in fit(place, "--prompt", str(place / "prompt.yaml"))
    assert "no column 'body'" in fit(place, "--text", "body")
    assert "no column 'gold'" in fit(place, "--label", "gold")
    assert "no column 'passage'" in fit(place, "--context", "passage")


def test_inputs_longer_than_the_model(place):
    place.rows("x.csv", _set(0, "text", " ".join(own.WORDS * 3)))
    assert "positions" in fit(place, "--max-length", "100", data="x.csv")


def test_a_folder_that_is_there_is_not_written_over(place):
    (place / "out").mkdir()
    (place / "out" / "kept.txt").write_text("mine")
    assert "--out" in fit(place)
    assert (place / "out" / "kept.txt").read_text() == "mine"


def test_places_that_cannot_be_written_to(place):
    assert "--out" in score(place, out="out.csv")
    assert "--out" in score(place, out="none/out.parquet")


# -- adapters -------------------------------------------------------------------------------------------

TENSORS, CONFIG = "adapter/adapter_model.safetensors", "adapter/adapter_config.json"


def _first(prefix: str, change: Callable[[np.ndarray], np.ndarray | None]) -> Callable[[dict], None]:
    def changed(arrays: dict) -> None:
        name = next(name for name in sorted(arrays) if prefix in name)
        value = change(arrays.pop(name))
        if value is not None:
            arrays[name] = value

    return changed


BROKEN: dict[str, tuple[Callable[[Place], object], str]] = {
    "no adapter": (lambda p: shutil.rmtree(p / "adapter"), "--adapter: there is no folder"),
    "no model": (lambda p: shutil.rmtree(p / "model"), "--model: there is no folder"),
    "no configuration": (lambda p: (p / CONFIG).unlink(), "adapter_config.json"),
    "no weights": (lambda p: (p / TENSORS).unlink(), "adapter_model.safetensors"),
    "broken configuration": (lambda p: (p / CONFIG).write_text("{"), "not valid JSON"),
    "cut weights": (lambda p: (p / TENSORS).write_bytes((p / TENSORS).read_bytes()[:-9]), "not whole"),
    "unknown type": (lambda p: p.json(CONFIG, peft_type="MAGIC"), "peft_type is 'MAGIC'"),
    "no type": (lambda p: p.json(CONFIG, peft_type=None), "peft_type is None"),
    "prompt tuning": (lambda p: p.json(CONFIG, peft_type="PROMPT_TUNING"), "adds tokens to the input"),
    "prefix tuning": (lambda p: p.json(CONFIG, peft_type="PREFIX_TUNING"), "adds tokens to the input"),
    "no head": (lambda p: p.arrays(TENSORS, _first("classifier.weight", lambda a: None)), "no classification head"),
    "no pooler": (lambda p: (p.arrays(TENSORS, _first("pooler.dense.weight", lambda a: None)),
                             p.arrays("model/model.safetensors", _first("pooler.dense.weight", lambda a: None))),
                  "lacks pooler.dense.weight"),
    "regression": (lambda p: p.arrays(TENSORS, _first("classifier.weight", lambda a: a[:1])), "a regression"),
    "NaN in it": (lambda p: p.arrays(TENSORS, _first("lora_B", lambda a: a * np.nan)), "NaN"),
    "another rank": (lambda p: p.arrays(TENSORS, _first("lora_B", lambda a: a[:, :1])), "no adapter of this model"),
    "a layer lacks": (lambda p: p.arrays(TENSORS, _first("lora_A", lambda a: None)), "lacks"),
    "another model's": (lambda p: own.save(p / "other", encoder="electra") and shutil.copytree(
        p / "other/model", p / "model", dirs_exist_ok=True), "other"),
    "model without weights": (lambda p: (p / "model/model.safetensors").unlink(), "no weights"),
    "model without tokenizer": (lambda p: (p / "model/tokenizer.json").unlink(), "no tokenizer"),
    "unknown model": (lambda p: p.json("model/config.json", model_type="magic"), "known model"),
    "NaN in the model": (lambda p: p.arrays("model/model.safetensors", _first("query.weight", lambda a: a * np.nan)),
                         "NaN"),
}  # fmt: skip


@pytest.mark.parametrize("kind", BROKEN)
def test_adapters_and_models_that_are_not_whole(place, kind):
    change, word = BROKEN[kind]
    change(place)
    found = fit(place)
    assert word in found or (kind == "another model's" and "adapter" in found), found
    assert "delete" not in found  # they are the user's own


# -- bundles --------------------------------------------------------------------------------------------


def _another_model(place: Place) -> None:
    place.arrays("model/model.safetensors", _first("query.weight", lambda a: a * 1.001))


BUNDLES: dict[str, tuple[Callable[[Place], object], str]] = {
    "no bundle": (lambda p: shutil.rmtree(p / "uq"), "--uq: there is no folder"),
    "no JSON": (lambda p: (p / "uq/bundle.json").unlink(), "bundle.json"),
    "no arrays": (lambda p: (p / "uq/arrays.safetensors").unlink(), "arrays.safetensors"),
    "broken JSON": (lambda p: (p / "uq/bundle.json").write_text("{"), "not valid JSON"),
    "another format": (lambda p: p.json("uq/bundle.json", format=99), "no bundle of format 1"),
    "a key lacks": (lambda p: p.json("uq/bundle.json", score=None), "score"),
    "unknown key": (lambda p: p.json("uq/bundle.json", more=1), "more"),
    "unknown method": (lambda p: p.json("uq/bundle.json", score="magic"), "no method of this version"),
    "another's arrays": (
        lambda p: p.arrays("uq/arrays.safetensors", lambda a: a.update(x=np.ones(1))),
        "is not the file",
    ),
    "another model": (_another_model, "model.safetensors is not the file that the bundle was fitted with"),
    "another adapter": (lambda p: p.arrays(TENSORS, _first("lora_B", lambda a: a * 2)), "is not the file"),
    "another tokenizer": (lambda p: p.json("model/tokenizer.json", version="1.1"), "tokenizer.json is not the file"),
}


@pytest.mark.parametrize("kind", BUNDLES)
def test_bundles_that_are_not_whole_or_anothers(place, kind):
    change, word = BUNDLES[kind]
    change(place)
    assert word in score(place)


# -- ends -----------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_fit_that_is_killed_leaves_nothing(place, mine, monkeypatch):
    def killed(*_) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(card, "write", killed)
    import peftuq

    with pytest.raises(KeyboardInterrupt):
        peftuq.fit(mine.model, mine.adapter, mine.data, place / "out", classes=own.CLASSES, precision="fp32")
    assert sorted(path.name for path in place.folder.iterdir()) == ["adapter", "data.csv", "model", "new.csv", "uq"]


@pytest.mark.slow
def test_a_mistake_ends_the_command_with_one_line_and_status_2(place):
    code = "import sys; sys.argv[0] = 'peftuq'; from peftuq.cli import main; main()"
    given = ["score", "--uq", str(place / "none"), "--data", str(place / "new.csv"), "--out", str(place / "o.parquet")]
    done = subprocess.run([sys.executable, "-c", code, *given], capture_output=True, text=True)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("error: --uq: there is no folder") and done.stderr.count("\n") == 1
