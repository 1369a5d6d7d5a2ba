"""Files that appear whole or not at all: text, columns and arrays.

A file appears under its name only when complete: it is written beside it under a temporary name, flushed to disk and
renamed. Formats: safetensors (arrays), parquet (columns), JSON. No pickle.
"""

import contextlib
import csv
import glob
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from peftuq.errors import UserError


@contextlib.contextmanager
def atomic(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a temporary path in `path`'s folder; on success it becomes `path`, on failure it is removed."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with open(temporary, "rb") as written:
            os.fsync(written.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def atomic_folder(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; on success it takes `path`'s place, on failure it is removed."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part"))
    try:
        yield temporary
        os.chmod(temporary, 0o755)
        if path.exists():
            # A folder cannot be renamed over a full one; a kill in between leaves none, never a half one.
            os.rename(path, temporary.with_suffix(".old"))
        os.rename(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(temporary.with_suffix(".old"), ignore_errors=True)


def sweep(path: str | os.PathLike) -> None:
    """Remove what killed writers left beside `path`, or beside its folder where that was written as a whole.

    A writer of the same path that still runs then fails, so only whoever makes it anew may call this.
    """
    for made in (Path(path), Path(path).parent):
        for suffix in ("part", "old"):
            for remains in made.parent.glob(f".{glob.escape(made.name)}.*.{suffix}"):
                if remains.is_dir():
                    shutil.rmtree(remains, ignore_errors=True)
                else:
                    remains.unlink(missing_ok=True)


# -- text: JSON, JSON lines, CSV ------------------------------------------------------------------------


INTEGRITY = "_integrity"  # the key of a file's identity: no name that a user gives begins so


def canonical(value: Any) -> str:
    """One JSON text for equal values."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def write_json(path: str | os.PathLike, value: Any) -> None:
    """Write JSON with sorted keys; NaN and infinities are refused (`ValueError`)."""
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(value, sort_keys=True, indent=1, allow_nan=False) + "\n")


def read_json(path: str | os.PathLike) -> Any:
    """The value of a JSON file, without the identity that it may carry (integrity.py)."""
    value = json.loads(Path(path).read_text())
    if isinstance(value, dict):
        value.pop(INTEGRITY, None)
    elif isinstance(value, list) and value and isinstance(value[-1], dict) and INTEGRITY in value[-1]:
        value.pop()
    return value


def read_text(path: str | os.PathLike, largest: int) -> str:
    """The text of a file that a user wrote: UTF-8 of at most `largest` bytes, a byte order mark left off.

    Raises `UserError` for one that is not there, cannot be read, is too large or not UTF-8.
    """
    try:
        with open(path, "rb") as file:
            content = file.read(largest + 1)
        if len(content) > largest:
            raise UserError(f"{path}: larger than {largest} bytes: this is no file of its kind")
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UserError(f"{path}: line {line}: not UTF-8 text: save it as UTF-8") from error
    except OSError as error:
        raise UserError(f"{path}: {unreadable(error)}") from error


def unreadable(error: OSError) -> str:
    """Why a file that a user names cannot be read, and what mends it."""
    remedies = {
        FileNotFoundError: "there is no such file: correct its name",
        NotADirectoryError: "there is no such file: correct its name",
        IsADirectoryError: "is a folder: name a file",
        PermissionError: "may not be read: change its permissions",
    }
    return remedies.get(type(error)) or f"cannot be read ({error.strerror or error})"


def write_lines(path: str | os.PathLike, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write JSON lines, one row each."""
    with atomic(path) as temporary:
        temporary.write_text("".join(json.dumps(row, allow_nan=False) + "\n" for row in rows))


def read_lines(path: str | os.PathLike) -> list[dict[str, Any]]:
    """The rows of JSON lines, without the one that is the file's identity (integrity.py)."""
    rows = map(json.loads, Path(path).read_text().splitlines())
    return [row for row in rows if INTEGRITY not in row]


def write_csv(path: str | os.PathLike, columns: Mapping[str, Sequence]) -> None:
    """Write equally long columns; None becomes an empty field."""
    with atomic(path) as temporary, open(temporary, "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))


# -- columns (parquet) --------------------------------------------------------------------------------


def write_columns(path: str | os.PathLike, columns: Mapping[str, Any], metadata: Mapping[str, str] = {}) -> None:
    """Write equally long columns (arrays, or lists of str / lists) in the order given."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table({name: pa.array(column) for name, column in columns.items()})
    table = table.replace_schema_metadata({k: str(v) for k, v in metadata.items()})
    with atomic(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def read_columns(path: str | os.PathLike) -> dict[str, Any]:
    """Columns by name: numeric ones as arrays, the others (str, lists) as Python lists."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    return {
        name: (
            column.to_numpy()
            if pa.types.is_floating(column.type) or pa.types.is_integer(column.type) or pa.types.is_boolean(column.type)
            else column.to_pylist()
        )
        for name, column in zip(table.column_names, table.columns, strict=True)
    }


# -- arrays (safetensors) -----------------------------------------------------------------------------


_ENTRY = "peftuq"  # the one entry of a file's metadata


def write_arrays(path: str | os.PathLike, arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str] = {}) -> None:
    from safetensors.numpy import save_file

    with atomic(path) as temporary:
        contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        # One entry: safetensors writes several in an order that differs from process to process.
        save_file(contiguous, temporary, metadata={_ENTRY: canonical({k: str(v) for k, v in metadata.items()})})


class ArrayFile:
    """A safetensors file, read lazily: only the arrays that are asked for come off the disk."""

    def __init__(self, path: str | os.PathLike):
        from safetensors import SafetensorError, safe_open

        try:
            self._file = safe_open(path, framework="numpy")
        except SafetensorError as error:
            raise UserError(f"{path}: not a complete safetensors file ({error}); delete it and run again") from error
        self.metadata: dict[str, str] = json.loads((self._file.metadata() or {}).get(_ENTRY, "{}"))
        self.names: list[str] = list(self._file.keys())

    def __getitem__(self, name: str) -> np.ndarray:
        return self._file.get_tensor(name)

    def get(self, name: str) -> np.ndarray | None:
        return self[name] if name in self.names else None
