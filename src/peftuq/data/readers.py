"""Rows, as dictionaries, out of the file formats in which datasets are published."""

import csv
import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from peftuq.data.archives import select
from peftuq.errors import UserError

Row = dict[str, Any]


def find(folder: Path, pattern: str) -> list[Path]:
    """The files below `folder` that match `pattern`, in order; `UserError` if none, or of two formats."""
    found = [folder / name for name in select(folder, [pattern])]
    if not found:
        raise UserError(f"{folder}: holds no file '{pattern}': fetch it again, or correct the key 'files'")
    endings = sorted({_ending(path) for path in found})
    if len(endings) > 1:
        raise UserError(f"{folder}: '{pattern}' is there as {' and '.join(endings)}: keep one of them")
    return found


def _ending(file: Path) -> str:
    return Path(file.name.removesuffix(".gz")).suffix


def read(files: list[Path], form: str | None = None, header: list[str] = []) -> Iterator[Row]:
    """The rows of all `files`, in order.

    `form` None: told by the ending (.jsonl, .csv, .parquet, .arrow; text also as .gz). "tsv": tab-separated
    without quoting, columns named by `header`. "olmo": request files of OLMo's evaluation data, one row a
    document with the columns passage, question, options, gold. Raises `UserError` for an unknown ending or a
    damaged file.
    """
    for file in files:
        try:
            yield from _reader(file, form, header)(file)
        except (ValueError, EOFError, KeyError, zlib.error, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # the machine's trouble, not the file's
            reason = str(error).split("\n")[0]
            raise UserError(f"{file}: damaged or not of its format ({reason}): fetch it again") from error


def _reader(file: Path, form: str | None, header: list[str]) -> Callable[[Path], Iterator[Row]]:
    if form == "tsv":
        return lambda path: _tsv(path, header)
    if form == "olmo":
        return _olmo
    readers = {".jsonl": _jsonl, ".csv": _csv, ".parquet": _parquet, ".arrow": _arrow}
    if _ending(file) not in readers:
        raise UserError(f"{file}: unknown ending; known are {', '.join(readers)}: give the key 'format'")
    return readers[_ending(file)]


def _open(file: Path) -> IO[str]:
    # Only "\n" ends a line: other line separators of Unicode occur inside texts.
    opener = gzip.open if file.suffix == ".gz" else open
    return opener(file, "rt", encoding="utf-8", newline="\n")


def _jsonl(file: Path) -> Iterator[Row]:
    with _open(file) as lines:
        for line in lines:
            if line.strip():
                yield json.loads(line)


def _csv(file: Path) -> Iterator[Row]:
    with _open(file) as lines:
        yield from csv.DictReader(lines, strict=True)


def _tsv(file: Path, header: list[str]) -> Iterator[Row]:
    with _open(file) as lines:
        for number, line in enumerate(lines, 1):
            values = line.rstrip("\r\n").split("\t", len(header) - 1)
            if line.strip():
                if len(values) != len(header):
                    raise ValueError(f"line {number} has {len(values)} columns, not {len(header)}")
                yield dict(zip(header, values, strict=True))


def _parquet(file: Path) -> Iterator[Row]:
    import pyarrow.parquet as pq

    for batch in pq.ParquetFile(file).iter_batches():
        yield from batch.to_pylist()


def _arrow(file: Path) -> Iterator[Row]:
    import pyarrow as pa

    with pa.OSFile(str(file)) as opened, pa.ipc.open_stream(opened) as batches:
        for batch in batches:
            yield from batch.to_pylist()


# -- OLMo's request files -------------------------------------------------------------------------------


def _olmo(file: Path) -> Iterator[Row]:
    """One row a document: a file holds a request for every option, each with few-shot examples."""
    seen: set[Any] = set()
    for request in _jsonl(file):
        if request["doc_id"] not in seen:
            seen.add(request["doc_id"])
            yield _document(request["doc"])


def _document(doc: Row) -> Row:
    """Take apart "<passage>\\nQuestion: <question>\\n A. <option>\\n B. <option> … \\nAnswer:"."""
    rest, options = doc["query"].removesuffix("\nAnswer:"), []
    for letter in reversed(doc["choices"]):
        rest, mark, option = rest.rpartition(f"\n {letter}. ")
        if not mark:
            raise ValueError(f"document {doc.get('id')} has no option {letter}")
        options.insert(0, option)
    passage, mark, question = rest.rpartition("Question: ")
    if not mark:
        raise ValueError(f"document {doc.get('id')} has no question")
    return {"passage": passage, "question": question, "options": options, "gold": doc["gold"]}
