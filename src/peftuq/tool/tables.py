"""Users' tables as rows, one at a time: a file of any size, or a data frame."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from peftuq.data import readers
from peftuq.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

ENDINGS = (".csv", ".jsonl", ".parquet", ".csv.gz", ".jsonl.gz")
Table = "Path | str | pd.DataFrame"


class Rows:
    """The rows of a `table`, in order, as often as they are asked for; `where` names it in messages."""

    def __init__(self, table: "Path | str | pd.DataFrame", option: str):
        self._frame = None if isinstance(table, str | Path) else table
        self.where = option if self._frame is not None else f"{option}: {table}"
        self.file = Path(table) if isinstance(table, str | Path) else None
        if self.file is not None and not self.file.name.endswith(ENDINGS):
            raise UserError(f"{self.where}: is no {', '.join(ENDINGS)}: save it as one of these")
        if self.file is not None and not self.file.is_file():
            raise UserError(f"{self.where}: there is no such file: correct its name")

    def __iter__(self) -> Iterator[dict[str, Any]]:
        if self.file is not None:
            yield from readers.read([self.file])
        elif self._frame is not None:
            names = list(self._frame.columns)
            for values in self._frame.itertuples(index=False, name=None):
                yield dict(zip(names, values, strict=True))


def scan(rows: Rows) -> tuple[int, list[str]]:
    """How many rows there are, and their columns. `UserError` for a file that cannot be read to its end."""
    count, columns = 0, dict[str, None]()
    for row in rows:
        count += 1
        if row.keys() - columns.keys():
            columns |= dict.fromkeys(row)
    if not count:
        raise UserError(f"{rows.where}: holds no rows")
    return count, list(columns)
