"""Every file of a dataset may be anything: one line names the file or the row, and nothing is computed."""

import csv
import gzip
import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from peftuq.data import readers
from peftuq.errors import UserError

ROWS = [{"text": f"word {n} of many", "label": n % 2} for n in range(40)]


def jsonl(rows) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def table(rows) -> bytes:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def parquet(rows) -> bytes:
    out = pa.BufferOutputStream()
    pq.write_table(rows if isinstance(rows, pa.Table) else pa.Table.from_pylist(rows), out)
    return out.getvalue().to_pybytes()


def arrow(rows) -> bytes:
    out, content = pa.BufferOutputStream(), rows if isinstance(rows, pa.Table) else pa.Table.from_pylist(rows)
    with pa.ipc.new_stream(out, content.schema) as stream:
        stream.write_table(content)
    return out.getvalue().to_pybytes()


WRITERS = {"jsonl": jsonl, "csv": table, "parquet": parquet, "arrow": arrow,
           "jsonl.gz": lambda rows: gzip.compress(jsonl(rows), mtime=0),
           "csv.gz": lambda rows: gzip.compress(table(rows), mtime=0)}  # fmt: skip
MANGLED = {
    "empty": lambda content: b"",
    "binary": lambda content: bytes(range(256)) * 20,
    "zeros": lambda content: bytes(5000),
    "half": lambda content: content[: len(content) // 2 + 3],
    "first byte": lambda content: content[:1],
    "beginning gone": lambda content: content[7:],
    "utf-16": lambda content: "text,label\nwörd,1\n".encode("utf-16"),
    "latin-1": lambda content: "text,label\nwörd,1\n".encode("latin-1"),
    "another format": lambda content: b"<html><body>404</body></html>",
}
BELIEVABLE = {("csv", "half"), ("csv", "beginning gone"), ("csv", "first byte"), ("csv", "zeros")}


def written(checkout, name: str, content: bytes) -> str:
    (checkout.material / "train.jsonl").unlink()
    (checkout.material / name).write_bytes(content)
    return name


def one_line(checkout, *named: str, **changes) -> str:
    with pytest.raises(UserError) as raised:
        checkout.prepare(**changes)
    said = str(raised.value)
    assert "\n" not in said and any(name in said for name in named), said
    assert checkout.kept() == ["kept.txt"]
    return said


@pytest.mark.parametrize("form", WRITERS)
@pytest.mark.parametrize("kind", MANGLED)
def test_a_mangled_file(checkout, count, form, kind):
    name = written(checkout, f"train.{form}", MANGLED[kind](WRITERS[form](ROWS)))
    if (form, kind) in BELIEVABLE:  # a table without a part of it is a table: what it lacks is found by its rows
        one_line(
            checkout, name, "words: train", "words", sources={"local": {"folder": "words", "files": {"train": name}}}
        )
    else:
        one_line(checkout, name, sources={"local": {"folder": "words", "files": {"train": name}}})
    count("mangled dataset file")


def csv_of(*lines: str) -> bytes:
    return "\n".join(lines).encode() + b"\n"


FILES = {
    "semicolons": ("train.csv", csv_of("text;label", "a;0", "b;1"), "commas"),
    "tabs": ("train.csv", csv_of("text\tlabel", "a\t0", "b\t1"), "commas"),
    "semicolons, and commas in one name": ("train.csv", csv_of("text;label;a,b", "x;0;1"), "commas"),
    "old Macs' line ends": ("train.csv", b"text,label\ra,0\rb,1\r", "line feeds"),
    "UTF-16 without its mark": ("train.csv", "text,label\na,0\n".encode("utf-16-be"), "NUL"),
    "a NUL": ("train.csv", csv_of("text,label", "a\0b,0"), "line 2"),
    "a blank first line": ("train.csv", csv_of("", "text,label", "a,0"), "line 1"),
    "a key twice": ("train.jsonl", b'{"text": "a", "text": "b", "label": 0}\n', "text"),
    "an integer of 5000 digits": ("train.jsonl", b'{"text": ' + b"9" * 5000 + b', "label": 0}\n', "line 1"),
    "too many columns": ("train.csv", csv_of("text,label", "a,0,1"), "line 2"),
    "too few columns": ("train.csv", csv_of("text,label", "a"), "line 2"),
    "a column twice": ("train.csv", csv_of("text,text", "a,0"), "text"),
    "a quote that never ends": ("train.csv", csv_of("text,label", '"a,0', "b,1"), "train.csv"),
    "header only": ("train.csv", csv_of("text,label"), "no row"),
    "a line of an array": ("train.jsonl", b'["a", 0]\n', "line 1"),
    "a line of a number": ("train.jsonl", b'{"text": "a", "label": 0}\n3\n', "line 2"),
    "a broken second line": ("train.jsonl", b'{"text": "a", "label": 0}\n{"text": \n', "line 2"),
    "blank lines only": ("train.jsonl", b"\n\n\n", "no row"),
    "deep nesting": ("train.jsonl", b'{"text": ' + b"[" * 100_000 + b"]" * 100_000 + b"}\n", "train.jsonl"),
    "one long line": ("train.jsonl", b'{"text": "' + b"a" * (readers.LONGEST + 1) + b'", "label": 0}\n', "line 1"),
    "one long field": ("train.csv", b"text,label\n" + b"a" * (readers.LONGEST + 1) + b",0\n", "line 2"),
    "an unknown ending": ("train.xlsx", b"PK", "ending"),
    "a pickle": ("train.pkl", b"\x80\x04.", "ending"),
}


TABLES = {
    "a column twice": pa.Table.from_arrays(
        [pa.array(["a"]), pa.array(["b"]), pa.array([0])], ["text", "text", "label"]
    ),
    "lists for texts": pa.table({"text": [["a"]], "label": [0]}),
    "bytes for texts": pa.table({"text": [b"a"], "label": [0]}),
    "lists for labels": pa.table({"text": ["a"], "label": [[0]]}),
    "no label": pa.table({"text": ["a"], "label": pa.array([None], pa.int64())}),
    "no column": pa.table({}),
    "no row": pa.table({"text": pa.array([], pa.string()), "label": pa.array([], pa.int64())}),
}


@pytest.mark.parametrize("form", ["parquet", "arrow"])
@pytest.mark.parametrize("name", TABLES)
def test_a_table_that_is_no_dataset(checkout, count, form, name):
    content = {"parquet": parquet, "arrow": arrow}[form](TABLES[name])
    file = written(checkout, f"train.{form}", content)
    one_line(checkout, file, "words: train row 0", sources={"local": {"folder": "words", "files": {"train": file}}})
    count("table that is no dataset")


@pytest.mark.parametrize("form", ["jsonl", "csv", "csv.gz", "parquet", "arrow"])
def test_a_rating_that_is_none_is_no_class(checkout, count, form):
    rows = [{"text": f"t {n}", "rating": float("nan") if n == 3 else 1.5} for n in range(9)]
    file = written(checkout, f"train.{form}", WRITERS[form](rows))
    source = {"local": {"folder": "words", "files": {"train": file}}}
    assert "rating" in one_line(checkout, "train row 3", row=RATED, splits={"test": ["train"]}, sources=source)
    count("rating by format")


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_another_shape(checkout, count, name):
    file, content, word = FILES[name]
    written(checkout, file, content)
    assert word in one_line(checkout, file, "words", sources={"local": {"folder": "words", "files": {"train": file}}})
    count("dataset file of another shape")


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_a_byte_order_mark_is_no_mistake_and_a_long_field_neither(checkout, form):
    rows = [*ROWS, {"text": "a" * 200_000, "label": 0}]
    name = written(checkout, f"train.{form}", b"\xef\xbb\xbf" + WRITERS[form](rows))
    metadata = checkout.prepare(sources={"local": {"folder": "words", "files": {"train": name}}})
    assert sum(part["examples"] for part in json.loads(metadata["counts"]).values()) == 41


# -- rows -----------------------------------------------------------------------------------------------

BAD_TEXT = {"none": None, "nan": float("nan"), "inf": float("inf"), "list": ["a"], "mapping": {"a": 1}, "truth": True,
            "half a character": "a\ud800"}  # fmt: skip
BAD_LABEL = {"none": None, "nan": float("nan"), "beyond": 2, "negative": -1, "text": "good", "list": [0],
             "fraction": 0.5, "empty": "", "mapping": {}, "huge": 10**400}  # fmt: skip
BAD_RATING = {
    "none": None,
    "nan": float("nan"),
    "inf": float("-inf"),
    "text": "much",
    "list": [1],
    "truth": True,
    "underscore": "1_000",
    "empty": "",
    "huge": 10**400,
}
BAD_OPTIONS = {"text": "abcd", "none": None, "number": 3, "empty": [], "one": ["a"], "numbers": [None, 1],
               "lists": [["a"], ["b"]],
               "too many": list("abcdef"), "mapping": {"a": 1}}  # fmt: skip
CHOICE = {"question": "{q}", "options": "options", "label": {"column": "label"}}
COLUMNS = {**CHOICE, "options": ["{A}", "{B}", "{C}"]}
RATED = {"text": "{text}", "rating": {"sum": ["rating"], "edges": [0]}}
WHOLE = {"text": "t", "label": 0, "rating": 1.0, "q": "why?", "options": ["a", "b"], "A": "a", "B": "b", "C": "c"}
CASES = [
    *(("text", {"text": "{text}", "label": {"column": "label"}}, "text", v) for v in BAD_TEXT.values()),
    *(("label", {"text": "{text}", "label": {"column": "label"}}, "label", v) for v in BAD_LABEL.values()),
    *(("rating", RATED, "rating", v) for v in BAD_RATING.values()),
    *(("options", CHOICE, "options", v) for v in BAD_OPTIONS.values()),
    *(("question", CHOICE, "q", v) for v in BAD_TEXT.values()),
    *(("option column", COLUMNS, "A", v) for v in BAD_TEXT.values()),
    *(("label of a choice", COLUMNS, "label", v) for v in (None, 3, "x", [0])),
    *(("missing column", row, column, ...) for row, column in ((RATED, "rating"), (RATED, "text"), (CHOICE, "q"),
                                                               (CHOICE, "options"),
                                                               (COLUMNS, "B"), (COLUMNS, "label"))),
]  # fmt: skip


@pytest.mark.parametrize("kind, rule, column, value", CASES)
def test_a_row_that_is_no_example(checkout, count, kind, rule, column, value):
    bad = {key: v for key, v in WHOLE.items() if key != column} | ({} if value is ... else {column: value})
    (checkout.material / "train.jsonl").write_bytes(jsonl([WHOLE, bad]))
    classification = "text" in rule
    said = one_line(checkout, "words: train row 1", row=rule, splits={"test": ["train"]},
                    kind="classification" if classification else "choice",
                    classes=["bad", "good"] if classification else list("ABC"))  # fmt: skip
    assert column in said or "option" in said
    count(f"row: {kind}")


def test_options_stand_in_columns_of_which_the_last_may_be_empty(checkout):
    rows = [{**WHOLE, "label": 2}, {**WHOLE, "C": None, "label": "1"}]
    (checkout.material / "train.jsonl").write_bytes(jsonl(rows))
    checkout.prepare(row=COLUMNS, splits={"test": ["train"]}, kind="choice", classes=list("ABC"))


SETS = {
    "tested on what was trained on": ([{"text": "same", "label": n % 2} for n in range(40)], "training examples"),
    "empty texts": ([{"text": " ", "label": n % 2} for n in range(40)], ""),
    "one class only": ([{"text": f"t {n}", "label": 0} for n in range(40)], "class 'positive'"),
    "too few rows": ([{"text": "t", "label": 0}], ""),
    "no row that counts": ([], "no row"),
}


@pytest.mark.parametrize("name", SETS)
def test_a_set_that_is_no_dataset(checkout, count, name):
    rows, word = SETS[name]
    (checkout.material / "train.jsonl").write_bytes(jsonl(rows))
    assert word in one_line(checkout, "words")
    count("set that is no dataset")


def test_repeated_empty_and_contradictory_examples_are_counted(checkout):
    rows = [*ROWS, *ROWS[:3], {"text": "", "label": 0}, {"text": "word 3 of many", "label": 0}]
    (checkout.material / "train.jsonl").write_bytes(jsonl(rows))
    found = json.loads(checkout.prepare(splits={"test": ["train"]})["counts"])["test"]
    assert found == {"examples": 45, "empty": 1, "repeated": 4, "contradictory": 2, "in_train": 0}
