"""Every format gives back the rows that were written, and a damaged file says so."""

import csv
import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from peftuq.data import readers
from peftuq.errors import UserError

ROWS = [
    {"text": "one\u2028line \x85 still", "label": 1, "choices": {"text": ["a", "b"], "label": ["A", "B"]}},
    {"text": 'quote " , comma', "label": 0, "choices": {"text": [], "label": []}},
]


def write_jsonl(path, rows):
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def write_parquet(path, rows):
    pq.write_table(pa.Table.from_pylist(rows), path)


def write_arrow(path, rows):
    table = pa.Table.from_pylist(rows)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)


WRITERS = {
    "x.jsonl": write_jsonl,
    "x.jsonl.gz": write_jsonl,
    "x.parquet": write_parquet,
    "x.arrow": write_arrow,
}


@pytest.mark.parametrize("name", WRITERS)
def test_rows_come_back(tmp_path, name):
    WRITERS[name](tmp_path / name, ROWS)
    assert list(readers.read([tmp_path / name])) == ROWS


@pytest.mark.parametrize("name", WRITERS)
def test_half_a_file_is_found_out(tmp_path, name):
    WRITERS[name](tmp_path / name, [{**ROWS[0], "text": str(i)} for i in range(3000)])
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: len(content) // 2 + 1])
    with pytest.raises(UserError, match=f"{name}: damaged.*fetch it again") as error:
        list(readers.read([tmp_path / name]))
    assert "\n" not in str(error.value)


def test_csv_with_line_breaks_in_a_field(tmp_path):
    with open(tmp_path / "x.csv", "w", newline="") as file:
        csv.writer(file).writerows([["Question", "Options"], ["why?", "a) x\n---\nb) y, z"]])
    assert list(readers.read([tmp_path / "x.csv"])) == [{"Question": "why?", "Options": "a) x\n---\nb) y, z"}]


def test_tsv_keeps_quotes_and_further_tabs_and_drops_carriage_returns(tmp_path):
    (tmp_path / "x.txt").write_bytes(b'1\t-0.5\tshe said "no\r\n2\t3\ttab\there \r and back\r\n')
    assert list(readers.read([tmp_path / "x.txt"], "tsv", ["n", "rating", "text"])) == [
        {"n": "1", "rating": "-0.5", "text": 'she said "no'},
        {"n": "2", "rating": "3", "text": "tab\there \r and back"},
    ]


def test_tsv_with_a_missing_column_names_the_line(tmp_path):
    (tmp_path / "x.txt").write_text("1\t2\n3\n")
    with pytest.raises(UserError, match=r"x\.txt.*line 2 has 1 columns"):
        list(readers.read([tmp_path / "x.txt"], "tsv", ["a", "b"]))


def request(number: int, query: str, letters: str, gold: int) -> dict:
    return {"doc_id": number, "doc": {"id": number, "query": query, "choices": list(letters), "gold": gold}}


def test_olmo_requests_are_taken_apart_once_a_document(tmp_path):
    passage = "A passage.\nQuestion: a trap\n A. trap"
    first = request(0, f"{passage}\nQuestion: Why A. or B.?\n A. x\n B. y: Question\n C. \nAnswer:", "ABC", 2)
    second = request(1, "Question: Two?\n A. yes\n B. no\nAnswer:", "AB", 0)
    write_jsonl(tmp_path / "r.jsonl.gz", [first, first, first, second, second])
    assert list(readers.read([tmp_path / "r.jsonl.gz"], "olmo")) == [
        {
            "passage": passage + "\n",
            "question": "Why A. or B.?",
            "options": ["x", "y: Question", ""],
            "gold": 2,
        },
        {"passage": "", "question": "Two?", "options": ["yes", "no"], "gold": 0},
    ]


def test_olmo_documents_with_a_blank_keep_their_own_columns(tmp_path):
    doc = {"sentence": "The _ is.", "option1": "cup", "option2": "saucer", "answer": "2", "choices": ["A", "B"]}
    doc["query"] = "Fill in the blank: The ___ is.\n A. cup\n B. saucer\nAnswer:"
    write_jsonl(tmp_path / "r.jsonl", [{"doc_id": 0, "doc": doc}, {"doc_id": 0, "doc": doc}])
    assert list(readers.read([tmp_path / "r.jsonl"], "olmo")) == [doc]


def test_olmo_requests_without_their_options_say_so(tmp_path):
    write_jsonl(tmp_path / "r.jsonl", [request(5, "Question: Two?\n A. yes\nAnswer:", "AB", 0)])
    with pytest.raises(UserError, match="document 5 has no option B"):
        list(readers.read([tmp_path / "r.jsonl"], "olmo"))


def test_files_are_read_in_order_and_a_pattern_without_any_is_an_error(tmp_path):
    for name in ("b", "a", "c"):
        write_jsonl(tmp_path / f"train-{name}.jsonl", [{"name": name}])
    files = readers.find(tmp_path, "train-*.jsonl")
    assert [row["name"] for row in readers.read(files)] == ["a", "b", "c"]
    with pytest.raises(UserError, match=r"holds no file 'test\.\*'"):
        readers.find(tmp_path, "test.*")


def test_the_same_split_in_two_formats_is_not_read_twice(tmp_path):
    write_jsonl(tmp_path / "train.jsonl.gz", ROWS)
    write_parquet(tmp_path / "train.parquet", ROWS)
    with pytest.raises(UserError, match=r"'train\.\*' is there as \.jsonl and \.parquet: keep one"):
        readers.find(tmp_path, "train.*")


def test_an_unknown_ending_lists_the_known_ones(tmp_path):
    (tmp_path / "x.pkl").write_bytes(b"")
    with pytest.raises(UserError, match=r"unknown ending; known are .*\.parquet"):
        list(readers.read([tmp_path / "x.pkl"]))
