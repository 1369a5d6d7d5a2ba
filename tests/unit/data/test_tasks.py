"""Rows become examples: the right option has the right label, and what cannot be an example is named."""

import hashlib
import json

import numpy as np
import pytest
from sklearn.datasets import _twenty_newsgroups as newsgroups

from peftuq import files
from peftuq.data import tasks
from peftuq.errors import UserError

TEXT = {"text": "{text}", "label": {"column": "label"}}
CHOICE = {
    "question": "{question}",
    "options": "choices.text",
    "label": {"column": "key", "among": "choices.label"},
}


def spec(row: dict, **keys) -> dict:
    return {
        "name": "toy",
        "version": 1,
        "kind": "classification" if "text" in row else "choice",
        "classes": ["bad", "good"] if "text" in row else list("ABCDE"),
        "question": "",
        "source": "local",
        "files": {"train": "train.jsonl"},
        "format": None,
        "header": [],
        "row": row,
        "splits": {"test": ["train"]},
        "note": "",
        **keys,
    }


def prepared(tmp_path, rows: list[dict], row: dict, part: str = "test", **keys):
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    return tasks.prepare(spec(row, **keys), tmp_path)[0][part]


def test_classification_columns(tmp_path):
    rows = [{"text": " a {brace} ", "label": 1}, {"text": "b\n", "label": 0}]
    part = prepared(tmp_path, rows, TEXT)
    assert list(part) == ["id", "text", "label"]
    assert part["text"] == ["a {brace}", "b"] and part["label"].tolist() == [1, 0]
    assert part["id"].dtype == part["label"].dtype == np.int64 and part["id"].tolist() == [0, 1]


def test_the_answer_key_names_an_option_whatever_its_labels(tmp_path):
    rows = [
        {"question": "q", "choices": {"text": ["x", "y", "z"], "label": ["A", "B", "C"]}, "key": "C"},
        {
            "question": "q",
            "choices": {"text": ["x", "y", "z", "w"], "label": ["1", "2", "3", "4"]},
            "key": "3",
        },
        {"question": "q", "choices": {"text": ["w", "z", "y"], "label": ["C", "A", "B"]}, "key": "A"},
    ]
    part = prepared(tmp_path, rows, CHOICE)
    assert [options[label] for options, label in zip(part["options"], part["label"], strict=True)] == ["z"] * 3
    assert part["context"] == ["", "", ""] and list(part) == ["id", "context", "question", "options", "label"]


def test_index_answers(tmp_path):
    row = {"question": "{question}", "options": "choices", "label": {"column": "answer"}}
    part = prepared(tmp_path, [{"question": "q", "choices": ["x", "y", "z"], "answer": 2}], row)
    assert part["options"][0][part["label"][0]] == "z"


def test_true_answers_yes(tmp_path):
    row = {
        "context": "{passage}",
        "question": "{question}?",
        "options": ["yes", "no"],
        "label": {"column": "answer", "values": [True, False]},
    }
    rows = [{"passage": "p", "question": "is it", "answer": answer} for answer in (True, False)]
    part = prepared(tmp_path, rows, row, classes=["yes", "no"])
    assert [o[i] for o, i in zip(part["options"], part["label"], strict=True)] == ["yes", "no"]
    assert part["question"][0] == "is it?" and part["context"][0] == "p"


def test_delimited_options_are_put_in_the_order_of_their_keys(tmp_path):
    rule = {"column": "Options", "delimiter": "\n--\n", "key_end": ") "}
    row = {"question": "{Q}", "options": rule, "label": {"column": "A", "values": list("abcd")}}
    rows = [{"Q": "q", "Options": "b) two) 2\n--\na) one\n--\nc) three", "A": "b"}]
    part = prepared(tmp_path, rows, row)
    assert part["options"] == [["one", "two) 2", "three"]] and part["label"].tolist() == [1]


@pytest.mark.parametrize(("ai", "human", "label"), [(3, 2.5, 0), (3, 2.51, 1), (5, 5, 1), (1, 1, 0), (5, 0.6, 1)])
def test_toxic_is_more_than_five_and_a_half(tmp_path, ai, human, label):
    row = {"text": "{text}", "rating": {"sum": ["toxicity_ai", "toxicity_human"], "edges": [5.5]}}
    part = prepared(tmp_path, [{"text": "t", "toxicity_ai": ai, "toxicity_human": human}], row)
    assert part["label"].tolist() == [label]


def test_ratings_are_binned_and_the_undecided_dropped(tmp_path):
    values = [-4, -2, -1.99, -0.7, -0.5, -0.49, 0, 0.49, 0.5, 0.7, 0.71, 2, 2.01]
    rows = [{"text": f"t{i}", "rating": str(value)} for i, value in enumerate(values)]
    five = {"text": "{text}", "rating": {"sum": ["rating"], "edges": [-2, -0.7, 0.7, 2]}}
    part = prepared(tmp_path, rows, five, classes=list("abcde"))
    assert part["label"].tolist() == [0, 0, 1, 1, 2, 2, 2, 2, 2, 2, 3, 3, 4]
    two = {"text": "{text}", "rating": {"sum": ["rating"], "edges": [0], "drop": [-0.5, 0.5]}}
    part = prepared(tmp_path, rows, two)
    assert part["label"].tolist() == [0] * 5 + [1] * 5
    assert part["id"].tolist() == [0, 1, 2, 3, 4, 8, 9, 10, 11, 12]  # rows of the source, not of what is left


def test_subjects_are_filtered_without_renumbering(tmp_path):
    rows = [{"text": s, "label": 0, "subject": s} for s in ("law", "math", "law", "art")]
    part = prepared(tmp_path, rows, {**TEXT, "where": {"subject": ["math", "art"]}})
    assert part["text"] == ["math", "art"] and part["id"].tolist() == [1, 3]


def test_a_classification_dataset_as_a_question(tmp_path):
    rows = [{"text": "a", "label": 1}, {"text": "b", "label": 0}]
    part = prepared(tmp_path, rows, TEXT, kind="choice", question="Sentiment?")
    assert part["context"] == ["a", "b"] and part["question"] == ["Sentiment?"] * 2
    assert [o[i] for o, i in zip(part["options"], part["label"], strict=True)] == ["good", "bad"]
    assert part["id"].tolist() == prepared(tmp_path, rows, TEXT)["id"].tolist()


POST = """From: someone@somewhere
Subject: Re: cars

In article <1@x>, somebody writes:
> a quoted line
| another

My own words.

--
a signature
"""


def test_newsgroup_posts_are_stripped_as_scikit_learn_does(tmp_path):
    posts = [POST, "no header at all", "A: b\n\nbody\n\nlast words", "\n\nbody"]
    rows = [{"text": post, "label": 0} for post in posts]
    part = prepared(tmp_path, rows, {**TEXT, "clean": ["headers", "footers", "quotes"]})
    expected = []
    for post in posts:
        for strip in ("header", "footer", "quoting"):
            post = getattr(newsgroups, f"strip_newsgroup_{strip}")(post)
        expected.append(post.strip())
    assert part["text"] == expected and part["text"][0] == "My own words."


TRAINED = {"splits": {"train": ["train"], "valid": {"rows": 2}, "test": {"rows": 2}}}


def test_a_class_without_a_training_example_is_named(tmp_path):
    rows = [{"text": "t", "label": 0}] * 9
    with pytest.raises(UserError, match=r"dataset toy: class 'good' has no training example.*'classes'"):
        prepared(tmp_path, rows, TEXT, **TRAINED)
    rows[-1] = {"text": "t", "label": 1}
    with pytest.raises(UserError, match=r"class '(good|bad)' has no training example: raise limit\.train"):
        prepared(tmp_path, rows, TEXT, **TRAINED, limit={"train": 1})


@pytest.mark.parametrize(
    ("row", "rule", "message"),
    [
        ({"text": "t"}, TEXT, "train row 1: has no column 'label'.*'row'"),
        ({"label": 0}, TEXT, "train row 1: has no column 'text'"),
        ({"text": None, "label": 0}, TEXT, "train row 1: its text is empty"),
        ({"text": "t", "label": -1}, TEXT, r"its label is -1, which is none of \[0, 1\]"),
        ({"text": "t", "label": 2}, TEXT, "its label is 2"),
        ({"text": "t", "label": None}, TEXT, "its label is None"),
        ({"question": "q", "choices": {"text": ["x", "y"], "label": ["A", "B"]}, "key": ""}, CHOICE, "its key is ''"),
        ({"question": "q", "choices": ["x"], "key": "A"}, CHOICE, "has no column 'choices.text'"),
        (
            {"question": "q", "choices": {"text": ["x"] * 6, "label": list("ABCDEF")}, "key": "F"},
            CHOICE,
            "6 options, but 'classes' names only 5",
        ),
    ],
)
def test_rows_that_are_no_examples_are_named(tmp_path, row, rule, message):
    good = {"text": "t", "label": 0, "question": "q", "choices": {"text": ["x", "y"], "label": ["A", "B"]}, "key": "A"}
    with pytest.raises(UserError, match=f"dataset toy: .*{message}") as error:
        prepared(tmp_path, [good, row], rule)
    assert "\n" not in str(error.value)


def test_a_filter_that_leaves_nothing_is_named(tmp_path):
    with pytest.raises(UserError, match="dataset toy: no train row is left"):
        prepared(tmp_path, [{"text": "t", "label": 0, "s": "a"}], {**TEXT, "where": {"s": ["b"]}})


def test_limits_apply_after_the_split(tmp_path):
    rows = [{"text": str(i), "label": i % 2} for i in range(100)]
    whole, few = (prepared(tmp_path, rows, TEXT, "valid", **TRAINED, limit=n) for n in ({}, {"valid": 1}))
    assert len(whole["id"]) == 2 and len(few["id"]) == 1 and few["id"][0] in whole["id"]


def test_what_is_written_is_read_back_with_its_origin(tmp_path):
    rows = [{"question": "q", "choices": {"text": ["x", "é"], "label": ["A", "B"]}, "key": "B"}]
    fetched = tmp_path / "files"
    fetched.mkdir()
    (fetched / "train.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    files.write_json(tmp_path / "provenance.json", {"kind": "hub", "commit": "c0ffee"})
    parts, metadata = tasks.prepare(spec(CHOICE, note="a note"), fetched)
    for part, columns in parts.items():
        files.write_columns(tmp_path / f"{part}.parquet", columns, metadata)
    back = files.read_columns(tmp_path / "test.parquet")
    assert back["options"] == [["x", "é"]] and back["label"].tolist() == [1]
    assert len(files.read_columns(tmp_path / "train.parquet")["id"]) == 0
    assert metadata["dataset"] == "toy" and metadata["notes"] == "a note"
    assert json.loads(metadata["classes"]) == list("ABCDE")
    assert json.loads(metadata["provenance"])["commit"] == "c0ffee"
    content = (fetched / "train.jsonl").read_bytes()
    assert json.loads(metadata["files"]) == {"train.jsonl": hashlib.sha256(content).hexdigest()}


def test_the_same_bytes_every_time(tmp_path):
    rows = [{"text": str(i), "label": i % 2} for i in range(50)]
    written = []
    for name in ("a", "b"):
        (tmp_path / "train.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
        parts, metadata = tasks.prepare(spec(TEXT, **TRAINED), tmp_path)
        files.write_columns(tmp_path / name, parts["train"], metadata)
        written.append((tmp_path / name).read_bytes())
    assert written[0] == written[1]


def test_a_set_without_labels_is_prepared_from_its_texts_alone(tmp_path):
    part = prepared(tmp_path, [{"text": "a"}, {"text": "b", "label": "none"}], {"text": "{text}"}, classes=[])
    assert part["text"] == ["a", "b"] and part["label"].tolist() == [-1, -1]
    rows = [{"question": "why?", "choices": {"text": ["x", "y"]}}]
    choice = prepared(tmp_path, rows, {key: CHOICE[key] for key in ("question", "options")})
    assert choice["options"] == [["x", "y"]] and choice["label"].tolist() == [-1]
