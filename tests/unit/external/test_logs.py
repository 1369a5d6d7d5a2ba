"""Logs of lm-evaluation-harness and Inspect: what they say, against the numbers they were written from."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import log_softmax
from sklearn.metrics import log_loss, roc_auc_score

from peftuq import cli
from peftuq.artifacts import RecordFile
from peftuq.cli import import_logits
from peftuq.errors import UserError
from peftuq.external import answers, inspect_log, lm_eval
from peftuq.paths import Paths

LETTERS = "ABCD"


def questions(seed: int, n: int = 60) -> list[tuple[np.ndarray, int]]:
    """Log-likelihoods of three or four options, and the right one."""
    draw = np.random.default_rng(seed)
    found = []
    for i in range(n):
        logits = draw.normal(-6, 2, size=4 if i % 5 else 3)
        label = int(draw.integers(len(logits)))
        logits[label] += 2.5
        found.append((logits, label))
    return found


def harness_line(n: int, logits: np.ndarray, label: int, **changes) -> dict:
    """A line as the harness writes it: numbers as texts, requests by name."""
    return {
        "doc_id": n,
        "doc": {"question": "?"},
        "target": str(label),
        "arguments": {f"gen_args_{k}": {"arg_0": "Q: ?\nA:", "arg_1": f" option {k}"} for k in range(len(logits))},
        "resps": [[[repr(float(value)), "False"]] for value in logits],
        "filtered_resps": [[repr(float(value)), "False"] for value in logits],
        "filter": "none",
        "metrics": ["acc"],
        "acc": float(logits.argmax() == label),
        **changes,
    }


def harness_log(file: Path, lines: list[dict]) -> Path:
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


def written(file: Path, seed: int) -> Path:
    return harness_log(file, [harness_line(n, *question) for n, question in enumerate(questions(seed))])


def inspect_sample(n: int, logits: np.ndarray, label: int) -> dict:
    """A model that says "ANSWER: B": the letter is the last token, with and without a space among the likely ones."""
    p = log_softmax(logits)
    top = [{"token": letter, "logprob": value + np.log(0.75)} for letter, value in zip(LETTERS, p, strict=False)]
    top += [{"token": f" {letter}", "logprob": value + np.log(0.25)} for letter, value in zip(LETTERS, p, strict=False)]
    top += [{"token": "The", "logprob": -9.0}]
    best = LETTERS[int(logits.argmax())]
    tokens = [{"token": token, "logprob": -1.0, "top_logprobs": []} for token in ("A", "NSWER", ":")]
    tokens.append({"token": f" {best}", "logprob": max(p), "top_logprobs": top})
    choice = {"message": {"content": f"ANSWER: {best}"}, "logprobs": {"content": tokens}}
    choices = [f"option {k}" for k in range(len(logits))]
    return {"id": n, "epoch": 1, "choices": choices, "target": LETTERS[label], "output": {"choices": [choice]}}


HEADER = {"version": 2, "status": "success", "eval": {"task": "arc"}}


def test_a_harness_log_becomes_its_own_numbers(tmp_path):
    found = lm_eval.read(written(tmp_path / "samples.jsonl", 0))
    record = answers.records({"test": (tmp_path, found)})["test"]
    for row, label, (logits, right) in zip(record.logits, record.label, questions(0), strict=True):
        np.testing.assert_array_equal(row[: len(logits)], logits.astype(np.float32))
        assert np.isneginf(row[len(logits) :]).all() and label == right


def test_a_target_may_be_the_options_text(tmp_path):
    lines = [harness_line(n, *question) for n, question in enumerate(questions(0, 10))]
    texts = [{**line, "target": f"option {line['target']}"} for line in lines]
    assert lm_eval.read(harness_log(tmp_path / "a.jsonl", texts)) == lm_eval.read(
        harness_log(tmp_path / "b.jsonl", lines)
    )


def test_options_may_stand_in_the_context_and_the_harness_may_say_lists(tmp_path):
    """Winogrande: a context an option, and one continuation of all."""
    logits = np.array([-3.0, -2.0])
    line = harness_line(0, logits, 1, arguments=[["He ate", " it."], ["She ate", " it."]])
    (found,) = lm_eval.read(harness_log(tmp_path / "samples.jsonl", [line]))
    assert found == answers.Answer([-3.0, -2.0], 1)


@pytest.mark.parametrize("form", ["json", "eval"])
def test_an_inspect_log_becomes_the_letters_probabilities(tmp_path, form):
    samples = [inspect_sample(n, *question) for n, question in enumerate(questions(3, 12))]
    file = tmp_path / f"log.{form}"
    if form == "json":
        file.write_text(json.dumps({**HEADER, "samples": samples}))
    else:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("header.json", json.dumps(HEADER))
            for sample in samples:
                archive.writestr(f"samples/{sample['id']}_epoch_1.json", json.dumps(sample))
    for answer, (logits, label) in zip(inspect_log.read(file), questions(3, 12), strict=True):
        np.testing.assert_allclose(answer.logits, log_softmax(logits), atol=1e-12)
        assert answer.label == label


@pytest.fixture(scope="module")
def imported(tmp_path_factory) -> Path:
    """A log imported with all scores; of predictives without those whose fits take seconds."""
    folder = tmp_path_factory.mktemp("imported")
    test, valid = written(folder / "test.jsonl", 1), written(folder / "valid.jsonl", 2)
    words = ["import-logits", str(test), "--valid", str(valid), "--model", "m", "--dataset", "arc", "--out"]
    args, all_of = cli.parser().parse_args([*words, str(folder / "out")]), import_logits._plugins()
    kept = {name: all_of.predictives[name] for name in ("temperature", "vector_scaling", "ensemble", "vbll")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(import_logits, "_plugins", lambda: all_of._replace(predictives=kept))
        lines = list(args.run(args))
    assert "60 test questions, 60 valid questions" in lines[0]
    return folder / "out"


def test_every_metric_and_score_that_logits_suffice_for_is_there(imported):
    table = pd.read_csv(imported / "metrics.csv")
    point = table[table["predictive"] == "point"]
    assert set(point["method"]) == {"prediction", "sr", "entropy", "margin", "energy"}
    assert {"accuracy", "nll", "ece_15", "lac_coverage", "auroc", "aurc", "error_brier"} <= set(point["metric"])
    assert set(table["predictive"]) == {"point", "temperature", "vector_scaling"}


def test_metrics_are_those_of_scikit_learn_on_the_logs_numbers(imported):
    table = pd.read_csv(imported / "metrics.csv")
    at = table[table["predictive"] == "point"].set_index(["method", "metric"])["value"]
    logits = np.full((60, 4), -np.inf)
    for row, (values, _) in zip(logits, questions(1), strict=True):
        row[: len(values)] = values.astype(np.float32)
    labels = np.array([label for _, label in questions(1)])
    probs = np.exp(log_softmax(logits, axis=1))
    wrong = probs.argmax(1) != labels
    assert at["prediction", "accuracy"] == pytest.approx(1 - wrong.mean())
    assert at["prediction", "nll"] == pytest.approx(log_loss(labels, probs, labels=range(4)))
    assert at["sr", "auroc"] == pytest.approx(roc_auc_score(wrong, 1 - probs.max(1)))


def test_the_folder_is_read_as_a_runs_results(imported):
    record = RecordFile(Paths(str(imported)).records("m", "arc", "external", 0))
    assert record.parts == ["test", "valid"] and record["test"].h is None
    for words, said in (("show", "temperature"), ("compare point temperature", "better in"), ("findings", "arc")):
        args = cli.parser().parse_args([*words.split(), "--results", str(imported)])
        assert any(said in line for line in args.run(args))


def test_without_labelled_questions_to_fit_on_nothing_is_fitted(tmp_path):
    args = cli.parser().parse_args(
        ["import-logits", str(written(tmp_path / "t.jsonl", 1)), "--out", str(tmp_path / "o")]
    )
    list(args.run(args))
    table = pd.read_csv(tmp_path / "o/metrics.csv")
    assert set(table["predictive"]) == {"point"} and "lac_coverage" not in set(table["metric"])


def test_test_questions_without_answers_are_not_compared_by_them(tmp_path):
    asked = [{**inspect_sample(n, *question), "target": ""} for n, question in enumerate(questions(0))]
    (tmp_path / "t.json").write_text(json.dumps({**HEADER, "samples": asked}))
    words = ["import-logits", str(tmp_path / "t.json"), "--out", str(tmp_path / "o"), "--valid"]
    told = [inspect_sample(n, *question) for n, question in enumerate(questions(1))]
    (tmp_path / "v.json").write_text(json.dumps({**HEADER, "samples": told}))
    args = cli.parser().parse_args([*words, str(tmp_path / "v.json")])
    list(args.run(args))
    args = cli.parser().parse_args(["compare", "point", "temperature", "--results", str(tmp_path / "o")])
    with pytest.raises(UserError, match="undefined"):
        list(args.run(args))


# -- what does not fit ---------------------------------------------------------------------------------


def changed(**changes) -> list[dict]:
    lines = [harness_line(n, *question) for n, question in enumerate(questions(0, 4))]
    return [*lines[:2], {**lines[2], **changes}, lines[3]]


HARNESS = {
    "generated": (changed(resps=[["text"]], arguments=[["Q", {"until": []}]]), "only multiple-choice"),
    "one option": (changed(resps=[[["-1", "True"]]], arguments=[["Q", " a"]]), "two options or more"),
    "fewer answers": (changed(resps=[[["-1", "True"]]]), "one answer for each"),
    "repeats": (changed(resps=[[["-1", "True"], ["-1", "True"]]] * 4), "one pair"),
    "NaN": (changed(resps=[[["nan", "False"]]] * 4), "line 3: resps.0: 'nan' is no log-likelihood"),
    "infinite": (changed(resps=[[["-inf", "False"]]] * 4), "'-inf' is no log-likelihood"),
    "word": (changed(resps=[[["likely", "False"]]] * 4), "no log-likelihood"),
    "target beyond": (changed(target="7"), "neither the number nor the text"),
    "two targets": (changed(target="[0, 2]"), "neither the number nor the text"),
    "other accuracy": (changed(acc=1.0 - changed()[2]["acc"]), "acc is"),
    "twice": ([*changed(), changed()[0]], "line 5: doc_id 0"),
    "two filters": (changed(filter="other"), "one filter"),
    "no target": ([{k: v for k, v in line.items() if k != "target"} for line in changed()], "has no target"),
    "a list": ([["a"]], "has no doc_id"),
    "mutual information": (
        changed(arguments=[["Q", " a"], ["Q", " b"], ["", " a"], ["", " b"]], resps=[[["-1", "False"]]] * 4),
        "mutual information",
    ),
    "an option twice": (changed(arguments=[["Q", " a"]] * 4, resps=[[["-1", "False"]]] * 4), "more than once"),
}


@pytest.mark.parametrize("case", HARNESS)
def test_a_harness_log_that_does_not_fit_is_named_with_its_line(tmp_path, case):
    lines, said = HARNESS[case]
    with pytest.raises(UserError) as error:
        lm_eval.read(harness_log(tmp_path / "samples.jsonl", lines))
    assert said in str(error.value) and "samples.jsonl: line" in str(error.value)


def a_sample(**changes) -> dict:
    return {**inspect_sample(7, *questions(0)[1]), **changes}


def without(*letters: str) -> dict:
    sample = a_sample()
    last = sample["output"]["choices"][0]["logprobs"]["content"][-1]
    last["top_logprobs"] = [one for one in last["top_logprobs"] if one["token"].strip() not in letters]
    return sample


INSPECT = {
    "another version": ({**HEADER, "version": 1, "samples": []}, "version 1"),
    "unfinished": ({**HEADER, "status": "started", "samples": []}, "status is started"),
    "no samples": (HEADER, "has no samples"),
    "another JSON": ({"a": 1}, "not a log of Inspect"),
    "epochs": ({**HEADER, "samples": [a_sample(), a_sample(epoch=2)]}, "several epochs"),
    "an error": ({**HEADER, "samples": [a_sample(error={"message": "x"})]}, "ended in an error"),
    "no sample": ({**HEADER, "samples": [a_sample(), 3]}, "a sample is no mapping"),
    "no choices": ({**HEADER, "samples": [a_sample(choices=None)]}, "has no choices"),
    "no logprobs": ({**HEADER, "samples": [a_sample(output={"choices": [{"message": {}}]})]}, "has no logprobs"),
    "null logprobs": ({**HEADER, "samples": [a_sample(output={"choices": [{"logprobs": None}]})]}, "has no logprobs"),
    "an option left out": ({**HEADER, "samples": [without("C")]}, "option C is not among top_logprobs"),
    "two targets": ({**HEADER, "samples": [a_sample(target=["A", "B"])]}, "target ['A', 'B']"),
    "text as target": ({**HEADER, "samples": [a_sample(target="Paris")]}, "target 'Paris'"),
    "some without target": ({**HEADER, "samples": [a_sample(), a_sample(target="")]}, "sample 2: has no target"),
}


@pytest.mark.parametrize("case", INSPECT)
def test_an_inspect_log_that_does_not_fit_is_named(tmp_path, case):
    log, said = INSPECT[case]
    file = tmp_path / "log.json"
    file.write_text(json.dumps(log))
    with pytest.raises(UserError) as error:
        answers.records({"test": (file, inspect_log.read(file))})
    assert said in str(error.value) and "log.json" in str(error.value)


def test_an_archive_that_is_damaged_inside_is_named(tmp_path):
    file = tmp_path / "log.eval"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("header.json", json.dumps(HEADER))
        archive.writestr("samples/1.json", json.dumps(a_sample()))
    content = bytearray(file.read_bytes())
    start = content.index(b"samples/1.json") + 40
    content[start : start + 60] = bytes(60)
    file.write_bytes(content)
    with pytest.raises(UserError, match=r"not a whole \.eval log"):
        inspect_log.read(file)
