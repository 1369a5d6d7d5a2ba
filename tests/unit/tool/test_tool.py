"""From an adapter and labelled rows to scored rows: as a file, as a data frame, and in plain Python."""

import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import own
import pandas as pd
import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForSequenceClassification

import peftuq
from peftuq.adapters.adapted import Adapted
from peftuq.artifacts import Head, Record
from peftuq.cli import fit as fit_command
from peftuq.errors import UserError
from peftuq.metrics.detection import auroc
from peftuq.progress import Log
from peftuq.specs.adapted import Extract
from peftuq.specs.task import Task
from peftuq.tool import adapter as adapters
from peftuq.tool import bundle, calibration, card, choice, columns, labelled, score, usage
from peftuq.tool import fit as fitting
from peftuq.tool.columns import Columns, stacked

ROOT = Path(__file__).parents[3]
CLASSIFICATION = Task(kind="classification", classes=own.CLASSES, max_length=40, prompt=None, precision="fp32",
                      batch_tokens=4096)  # fmt: skip


def quiet(line: str) -> None:
    pass


def test_a_fit_says_what_it_compared_and_picked(mine):
    assert mine.compared["picked"].sum() == 1
    assert mine.compared.loc[mine.compared["picked"], "exported"].all()
    names = set(mine.compared["name"])
    wanted = {"sr", "energy", "md", "rmd_l2", "knn", "adue", "linear_probe", "mlp_probe", "rde"}
    assert {f"point/{name}" for name in wanted} | {"temperature/sr", "vector_scaling/entropy", "sngp/margin"} <= names
    card = (mine.uq / "card.md").read_text()
    assert all((mine.uq / figure).is_file() for figure in re.findall(r"\]\((\w+\.png)\)", card))
    assert card.count("![") == 2 and "tfb (runs the model again: see --samples)" in card


def test_a_data_frame_is_scored(mine):
    new = mine.new.set_index(mine.new.index + 1000)
    found = peftuq.score(mine.uq, new, risk=0.4)
    assert list(found.index) == list(new.index) and found["problem"].isna().all()
    probs = found[[f"p_{name}" for name in own.CLASSES]].to_numpy()
    np.testing.assert_allclose(probs.sum(axis=1), 1)
    assert [own.CLASSES[c] for c in probs.argmax(axis=1)] == list(found["answer"])
    error = (found["answer"] != new["label"]).to_numpy()
    assert 0.1 < error.mean() < 0.6
    assert auroc(found["p_wrong"].to_numpy(), error) > 0.55
    limit = bundle.read(mine.uq).threshold(0.4, 0.9)
    assert list(found["answered"]) == list(found["score"] < limit)
    assert "answered" not in peftuq.score(mine.uq, new)


def test_a_risk_outside_of_0_and_1_is_refused(mine):
    with pytest.raises(UserError, match="--risk"):
        peftuq.score(mine.uq, mine.new, risk=1.5)


def test_the_lines_in_the_documentation_give_the_same(mine, tmp_path, monkeypatch):
    (lines,) = re.findall(r"^```py\n(.*?)^```", (ROOT / "docs" / "tool.md").read_text(), re.M | re.S)
    for name, folder in (("model", mine.model), ("adapter", mine.adapter), ("uq", mine.uq)):
        (tmp_path / name).symlink_to(folder)
    monkeypatch.chdir(tmp_path)
    Path("uncertainty.py").write_text(usage.source(bundle.read(mine.uq).content, "uq"))
    monkeypatch.syspath_prepend(str(tmp_path))
    found: dict = {"texts": list(mine.new["text"][:16])}
    exec(compile(lines, "docs/tool.md", "exec"), found)
    wanted = peftuq.score(mine.uq, mine.new[:16])
    np.testing.assert_allclose(found["p_wrong"], wanted["p_wrong"], atol=1e-6)
    np.testing.assert_allclose(found["probs"], wanted[[f"p_{name}" for name in own.CLASSES]], atol=1e-6)


def records(n: int, missing: bool, seed: int) -> tuple[Record, Head]:
    rng = np.random.default_rng(seed)
    head = Head(rng.normal(size=(3, 5)).astype(np.float32), activation="")
    h = rng.normal(size=(n, 5)).astype(np.float32)
    logits = (h @ head.out_weight.T).astype(np.float32)
    label = own.noisy(logits, seed)
    if missing:
        logits[::3, 2] = -np.inf
        label = np.where(np.isneginf(logits[np.arange(n), label]), 0, label)
    return Record(np.arange(n), label, logits, h), head


@pytest.mark.parametrize("missing", [False, True])
def test_every_method_that_can_be_picked_is_its_plain_source(tmp_path, missing):
    """Also what a bundle gives, and what the comparison was made on."""
    record, head = records(300, missing, 5)
    parts = labelled.split(record, 0)
    fitting.write_records(tmp_path / "records", parts, head)
    every, _ = fitting.candidates.fit(tmp_path / "records", ["choose", "held_out"], 0, tmp_path, quiet, None, [])
    exported = [one for one in every if one.exported]
    assert len(exported) > 20
    for one in exported:
        names = SimpleNamespace(predictive=one.source.name, score=one.score, variant=one.variant)
        curve = calibration.logistic(one.values["held_out"], one.source.error("held_out"))
        found = bundle.Bundle(names, bundle.arrays(one, curve, "held_out"))
        fitting.files.write_arrays(tmp_path / bundle.ARRAYS, found.arrays)
        plain: dict = {}
        exec(usage.source(names, str(tmp_path)), plain)
        part = parts["choose"]
        probs, values, p_wrong = plain["uncertainty"](part.logits, part.h)
        np.testing.assert_allclose(values, one.values["choose"], rtol=1e-12, atol=1e-12, err_msg=one.name)
        np.testing.assert_allclose(probs, one.source.samples["choose"].mean, rtol=1e-12, atol=1e-15)
        for ours, theirs in zip(found(part.logits, part.h), (probs, values, p_wrong), strict=True):
            np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    "kind",
    [kind if kind in ("lora", "every layer") else pytest.param(kind, marks=pytest.mark.slow) for kind in own.KINDS],
)
def test_an_adapter_of_any_kind_gives_what_peft_gives(tmp_path, kind):
    model, adapter = own.save(tmp_path, kind, seed=3)
    texts = own.texts(8, 1)
    adapted = adapters.load(model, adapter, CLASSIFICATION, Log(None, "test"))
    record = adapted.run(adapted.encode(stacked([{"text": text} for text in texts])))
    plain = PeftModel.from_pretrained(
        AutoModelForSequenceClassification.from_pretrained(model, num_labels=3), adapter
    ).eval()
    tokens = own.tokenizer(True)(texts, padding=True, return_tensors="pt")
    with torch.no_grad():
        wanted = plain(input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"]).logits.numpy()
    spread = np.ptp(wanted, axis=0).min()
    head = adapted.read_out.head()
    assert np.abs(head.representation(record.h) @ head.out_weight.T + head.out_bias - wanted).max() < 1e-4 * spread
    assert spread > 0.01 and np.abs(record.logits - wanted).max() < 1e-4 * spread


def test_records_are_those_of_the_workflow(mine, tmp_path):
    (tmp_path / "files").symlink_to(mine.model)
    columns = stacked([{"text": text} for text in own.texts(20, 5)])
    spec = Extract(task=CLASSIFICATION, adapter="peftuq.adapters.lora", parts=["test"])
    log = Log(None, "test")
    theirs = Adapted.load(spec, str(tmp_path / "provenance.json"), str(mine.adapter / adapters.TENSORS), log)
    ours = adapters.load(mine.model, mine.adapter, CLASSIFICATION, log)
    wanted, found = (adapted.run(adapted.encode(columns)) for adapted in (theirs, ours))
    np.testing.assert_array_equal(found.logits, wanted.logits)
    np.testing.assert_array_equal(found.h, wanted.h)


@pytest.mark.slow
def test_a_choice_between_options_of_each_row(tmp_path):
    model, adapter = own.save(tmp_path, encoder="llama")
    rng = np.random.default_rng(0)
    words = [own.texts(4, seed) for seed in range(90)]
    frame = pd.DataFrame({"question": [w[0] for w in words], "a": [w[1] for w in words], "b": [w[2] for w in words],
                          "c": [w[3] if i % 4 else None for i, w in enumerate(words)]})  # fmt: skip
    frame["label"] = [own.LETTERS[rng.integers(2 + bool(i % 4))] for i in range(90)]
    given = {"text": "question", "options": ["a", "b", "c"], "precision": "fp32"}
    peftuq.fit(model, adapter, frame, tmp_path / "uq", **given)
    found = peftuq.score(tmp_path / "uq", frame)
    assert (found["p_C"][::4] == 0).all() and (found["p_C"][1::4] > 0).all()
    np.testing.assert_allclose(found[["p_A", "p_B", "p_C"]].sum(axis=1), 1)


# -- files ----------------------------------------------------------------------------------------------


@pytest.fixture
def scorer(mine, monkeypatch):
    monkeypatch.setattr(score, "CHUNK", 32)
    return score.Scorer.load(mine.uq, None, None, 0.4, 0.9, quiet)


def test_rows_that_are_no_examples_are_kept_and_marked(mine, scorer, tmp_path):
    rows = mine.new[["text"]][:100].copy()
    rows.loc[[3, 40], "text"] = None
    rows.loc[[7, *range(64, 96)], "text"] = "  "
    rows.to_parquet(tmp_path / "new.parquet")
    said = score.score_file(scorer, tmp_path / "new.parquet", tmp_path / "out.parquet", quiet)
    assert "100 rows" in str(said) and "35 that are no examples" in str(said)
    found = pd.read_parquet(tmp_path / "out.parquet")
    bad = rows["text"].fillna("").str.strip() == ""
    assert list(found["row"]) == list(range(100))
    assert list(found["problem"].notna()) == list(bad)
    assert found.loc[3, "problem"] == "text is missing" and found.loc[7, "problem"] == "text is empty"
    assert found.loc[bad, ["p_wrong", "answer", "p_yes"]].isna().all(axis=None) and not found.loc[bad, "answered"].any()
    wanted = score.score_frame(scorer, rows[~bad])
    np.testing.assert_allclose(found.loc[~bad, "p_wrong"], wanted["p_wrong"], atol=1e-6)


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_a_killed_run_goes_on_and_ends_in_the_same_bytes(mine, scorer, tmp_path, monkeypatch, ending):
    file = tmp_path / f"new.{ending}"
    write = {"csv": lambda f: f.to_csv(file, index=False), "parquet": lambda f: f.to_parquet(file),
             "jsonl": lambda f: f.to_json(file, orient="records", lines=True)}[ending]  # fmt: skip
    write(mine.new)
    score.score_file(scorer, file, tmp_path / "whole.parquet", quiet)
    chunks: list[int] = []
    plain = score.Scorer.__call__

    def killed(self, rows, first):
        if len(chunks) == 3:
            raise KeyboardInterrupt
        chunks.append(first)
        return plain(self, rows, first)

    monkeypatch.setattr(score.Scorer, "__call__", killed)
    with pytest.raises(KeyboardInterrupt):
        score.score_file(scorer, file, tmp_path / "out.parquet", quiet)
    assert not (tmp_path / "out.parquet").exists()
    again: list[int] = []
    monkeypatch.setattr(
        score.Scorer, "__call__", lambda self, rows, first: again.append(first) or plain(self, rows, first)
    )
    score.score_file(scorer, file, tmp_path / "out.parquet", quiet)
    assert chunks == [0, 32, 64] and again == [96, 128, 160, 192]
    assert (tmp_path / "out.parquet").read_bytes() == (tmp_path / "whole.parquet").read_bytes()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_what_another_file_has_left_is_not_gone_on_with(mine, scorer, tmp_path, monkeypatch):
    file, out = tmp_path / "new.csv", tmp_path / "out.parquet"
    mine.new.to_csv(file, index=False)
    score._resumed(out.with_name(".out.parquet.parts"), "another job", quiet)
    (out.with_name(".out.parquet.parts") / "00000000.parquet").write_bytes(b"of another file")
    score.score_file(scorer, file, out, quiet)
    assert len(pd.read_parquet(out)) == len(mine.new)


# -- the choice, and P(wrong) ---------------------------------------------------------------------------


def candidate(name: str, values: np.ndarray, error: np.ndarray, numbers: int):
    """One that is as good as its values, and as dear as its numbers."""
    probs = np.where(error[:, None], [[0.4, 0.6]], [[0.6, 0.4]])
    samples = fitting.candidates.Samples(np.arange(len(error)), np.zeros(len(error), dtype=int), probs[None])
    source = fitting.candidates.Source(name, {"choose": samples}, {})
    return fitting.candidates.Candidate(source, name, "score", {"choose": values}, {"array": np.zeros(numbers)})


@pytest.mark.parametrize("purpose", choice.CRITERIA)
def test_the_better_is_picked_and_of_equals_the_cheaper(purpose):
    rng = np.random.default_rng(0)
    error = rng.random(400) < 0.3
    good, noise = error + rng.normal(size=400), rng.normal(size=400)
    every = [candidate("noise", noise, error, 0), candidate("dear", good, error, 9), candidate("cheap", good, error, 5)]
    chosen = choice.choose(every, "choose", purpose, 0)
    assert chosen.picked.score == "cheap" and chosen.stability == 1
    behind = {line.name: line for line in chosen.lines}["noise/score"]
    assert behind.behind_low > 0 and not behind.is_tied
    assert chosen.lines[-1].name == "noise/score"


def test_resamples_without_an_error_say_nothing_of_the_choice():
    error = np.zeros(60, dtype=bool)
    error[:2] = True
    chosen = choice.choose(
        [candidate("one", error + np.linspace(0, 0.5, 60), error, 0)], "choose", "error-detection", 0
    )
    assert chosen.stability == 1


@pytest.mark.parametrize("cell", [["a", "b"], ("a", "b"), np.array(["a", "b"])])
def test_options_are_any_list(cell):
    asked = Columns(text="text", options=["options"])
    task = CLASSIFICATION.model_copy(update={"kind": "choice", "classes": ["A", "B"]})
    assert columns.listed(cell) == columns.example({"text": "?", "options": cell}, asked, task)["options"] == ["a", "b"]
    assert columns.listed("ab") is None


def test_a_missing_time_is_missing():
    with pytest.raises(ValueError, match="text is missing"):
        columns.example({"text": pd.NaT}, Columns(), CLASSIFICATION)


def test_one_whose_answers_are_all_right_is_not_compared():
    rng = np.random.default_rng(0)
    error = rng.random(400) < 0.3
    right = candidate("right", rng.normal(size=400), np.zeros(400, dtype=bool), 0)
    chosen = choice.choose([candidate("one", error + rng.normal(size=400), error, 0), right], "choose",
                           "error-detection", 0)  # fmt: skip
    assert [line.name for line in chosen.lines] == ["one/score"]


def test_one_that_needs_the_library_is_compared_and_not_picked():
    rng = np.random.default_rng(0)
    error = rng.random(400) < 0.3
    best = candidate("best", error + rng.normal(size=400) / 2, error, 0)._replace(state=None)
    chosen = choice.choose([best, candidate("second", error + rng.normal(size=400), error, 0)], "choose",
                           "error-detection", 0)  # fmt: skip
    assert chosen.picked.score == "second" and chosen.lines[0].name == "best/score"


def test_p_wrong_is_monotone_and_right_on_average():
    rng = np.random.default_rng(1)
    p = rng.beta(1, 4, size=3000)
    error, score_ = rng.random(3000) < p, np.log(p)
    for fit in calibration.FITS.values():
        curve = fit(score_[:2000], error[:2000])
        assert (np.diff(curve.y) >= 0).all() and (np.diff(curve.x) > 0).all()
        assert np.abs(curve(score_[2000:]) - p[2000:]).mean() < 0.05
        assert calibration.log_loss(curve(score_[2000:]), error[2000:]) < np.log(2)


def test_a_score_that_knows_nothing_gives_the_error_rate():
    rng = np.random.default_rng(2)
    error, noise = rng.random(1000) < 0.2, rng.normal(size=1000)
    _, curve, crossed = calibration.choose(noise, error, 0)
    assert np.ptp(curve(noise)) < 0.1 and abs(crossed.mean() - 0.2) < 0.03
    assert (calibration.logistic(-(error + noise), error).y == error.mean()).all()


@pytest.mark.slow
def test_methods_that_run_the_model_again_are_compared_where_they_are_asked_for(mine, tmp_path):
    given = {"classes": own.CLASSES, "precision": "fp32", "samples": 2}
    compared = peftuq.fit(mine.model, mine.adapter, mine.data, tmp_path / "uq", train=mine.new, **given)
    names = {"tfb-2/sr", "tfb-2/mutual_information", "spuq-2/entropy", "laplace/sr", "laplace_probit/sr"}
    assert names <= set(compared["name"]) and not compared[compared["name"].isin(names)]["exported"].any()
    assert bundle.read(tmp_path / "uq").content.left_out["mc_dropout"] == "needs dropout"


def test_the_purposes_of_the_command_are_those_there_are():
    assert set(fit_command.PURPOSES) == choice.CRITERIA.keys()


@pytest.mark.slow
def test_training_rows_are_what_distances_are_measured_to(mine, tmp_path):
    given = {"classes": own.CLASSES, "precision": "fp32", "purpose": "calibration"}
    mine.new.to_json(tmp_path / "train.jsonl", orient="records", lines=True)
    peftuq.fit(mine.model, mine.adapter, mine.data, tmp_path / "uq", train=tmp_path / "train.jsonl", **given)
    content = bundle.read(tmp_path / "uq").content
    assert content.rows == {"train": 200, "valid": 120, "choose": 75, "held_out": 105}
    assert content.warnings == [] and len(bundle.read(mine.uq).content.warnings) == 1
    peftuq.fit(mine.model, mine.adapter, mine.data, tmp_path / "again", train=mine.new, **given)
    for name in (bundle.JSON, bundle.ARRAYS, card.NAME, "reliability.png"):
        assert (tmp_path / "uq" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()
