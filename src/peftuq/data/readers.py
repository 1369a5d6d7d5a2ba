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
from peftuq.files import unreadable

Row = dict[str, Any]
LONGEST = 2**24  # characters of a line, or of a field of a CSV


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
    document with the columns passage, question, options, gold, or sentence, option1, option2, answer for a blank to
    fill in. Raises `UserError` for an unknown ending or a damaged file.
    """
    for file in files:
        try:
            yield from _reader(file, form, header)(file)
        except UserError:
            raise
        except UnicodeDecodeError as error:
            raise UserError(
                f"{file}: damaged or not UTF-8 text ({error.reason}): fetch it again, or save it as UTF-8"
            ) from error
        except OSError as error:
            # Formats' own errors have no number; with one it is that the file cannot be read at all.
            reason = (
                f"damaged or not of its format ({error}): fetch it again" if error.errno is None else unreadable(error)
            )
            raise UserError(f"{file}: {reason}") from error
        except (ValueError, EOFError, LookupError, TypeError, AttributeError, RecursionError, ArithmeticError,
                NotImplementedError, csv.Error, zlib.error) as error:  # fmt: skip
            reason = str(error).split("\n")[0]
            raise UserError(
                f"{file}: damaged or not of its format ({reason}): correct it, or fetch it again"
            ) from error


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
    # Only "\n" ends a line: other line separators of Unicode occur inside texts. A byte order mark is no text.
    opener = gzip.open if file.suffix == ".gz" else open
    return opener(file, "rt", encoding="utf-8-sig", newline="\n")


def _lines(file: Path) -> Iterator[str]:
    """The lines of a text file, each of at most `LONGEST` characters: no more of a file is ever in memory."""
    with _open(file) as opened:
        number = 0
        while line := opened.readline(LONGEST + 1):
            number += 1
            if len(line) > LONGEST:
                raise ValueError(f"line {number} is longer than {LONGEST} characters")
            if "\0" in line:
                raise ValueError(f"line {number} holds a NUL character, as UTF-16 has many: save it as UTF-8")
            yield line


def _jsonl(file: Path) -> Iterator[Row]:
    for number, line in enumerate(_lines(file), 1):
        if line.strip():
            try:
                row = json.loads(line, object_pairs_hook=_object)
            except (ValueError, RecursionError) as error:
                raise ValueError(f"line {number}: {error}") from error
            if not isinstance(row, dict):
                raise ValueError(f"line {number} is no object {{…}} but a {type(row).__name__}")
            yield row


def _object(pairs: list[tuple[str, Any]]) -> Row:
    found = dict(pairs)
    if len(found) < len(pairs):
        _check_names([name for name, _ in pairs])
    return found


def _check_names(names: list[str]) -> None:
    repeated = next((name for place, name in enumerate(names) if name in names[:place]), None)
    if repeated is not None:
        raise ValueError(f"two columns are called {repeated!r}: rename one")


def _csv(file: Path) -> Iterator[Row]:
    csv.field_size_limit(LONGEST)  # the module's own limit is less than a long text
    rows = csv.reader(_ended(file), strict=True)
    header = next(rows, None)
    if header is None:
        return
    _check_header(header)
    for values in rows:
        if values:
            if len(values) != len(header):
                raise ValueError(f"line {rows.line_num} has {len(values)} columns, the first line {len(header)}")
            yield dict(zip(header, values, strict=True))


def _ended(file: Path) -> Iterator[str]:
    """The lines of a CSV. `ValueError` for a file whose lines end as on old Macs: it would be a single one."""
    for number, line in enumerate(_lines(file), 1):
        if number == 1 and "\r" in line.rstrip("\r\n"):
            raise ValueError("lines end in a carriage return alone: save it with line feeds")
        yield line


def _check_header(header: list[str]) -> None:
    """The first line names the columns: each once, and apart from each other by commas."""
    if not header:
        raise ValueError("line 1 is empty: it names the columns")
    other = max((";", "\t", "|"), key=lambda mark: sum(name.count(mark) for name in header))
    if sum(name.count(other) for name in header) >= len(header):
        raise ValueError(f"columns stand apart by {other!r} and not by commas: save it with commas")
    _check_names(header)


def _tsv(file: Path, header: list[str]) -> Iterator[Row]:
    for number, line in enumerate(_lines(file), 1):
        values = line.rstrip("\r\n").split("\t", len(header) - 1)
        if line.strip():
            if len(values) != len(header):
                raise ValueError(f"line {number} has {len(values)} columns, not {len(header)}")
            yield dict(zip(header, values, strict=True))


def _parquet(file: Path) -> Iterator[Row]:
    import pyarrow.parquet as pq

    opened = pq.ParquetFile(file)
    _check_names(opened.schema_arrow.names)
    for batch in opened.iter_batches():
        yield from batch.to_pylist()


def _arrow(file: Path) -> Iterator[Row]:
    import pyarrow as pa

    with pa.OSFile(str(file)) as opened, pa.ipc.open_stream(opened) as batches:
        _check_names(batches.schema.names)
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
    """Take apart "<passage>\\nQuestion: <question>\\n A. <option>\\n B. <option> … \\nAnswer:".

    A sentence with a blank has columns of its own: sentence, option1, option2, answer.
    """
    if doc["query"].startswith("Fill in the blank: "):
        return doc
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
