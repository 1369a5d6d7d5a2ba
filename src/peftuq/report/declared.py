"""A table that is declared: its rows, its columns, the entry where they meet, and what that is compared with."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from peftuq.report.reference import Printed
from peftuq.report.run import Run
from peftuq.report.tables import NOT_REQUESTED, WIDEST, Column, Entry, Row, Table, in_blocks, mark_best

S = TypeVar("S")  # the subject of a section
R = TypeVar("R")  # a row before it is filled, such as a method or a model

WITH_PAPER = ("ours", "paper", "difference")


@dataclass(frozen=True)
class Field(Generic[R]):
    """A column: its head, a row's entry in it, and the paper's number that the entry is compared with.

    `better`: "higher" or "lower", for its best to be bold: the best of the rows that have the same `among`.
    """

    column: Column
    entry: Callable[[R], Entry]
    better: str = ""
    compared_with: Callable[[R], Printed | None] = lambda row: None
    among: Callable[[R], Hashable] = lambda row: None


@dataclass(frozen=True)
class Block(Generic[R]):
    """The rows under one heading, and their columns in runs that are kept together."""

    rows: Sequence[R]
    runs: Sequence[Sequence[Field[R]]]
    heading: str = ""

    @property
    def fields(self) -> list[Field[R]]:
        return [field for run in self.runs for field in run]


def _title(row: Any) -> tuple[str, ...]:
    return (row.title,)


@dataclass(frozen=True)
class DeclaredTable(Generic[S, R]):
    """Called with a run and its subject it is the table; None for fewer than `fewest` rows, or for no column.

    All blocks have the same heads; `over` says what their headings are. `labels` name a row, by default its `title`.
    Where the paper has any of the numbers, a row becomes three: ours, the paper's (printed with `decimals`), and the
    difference; `beside` then ends the caption, else `alone`. `best`: of a column, or of a row. At most `widest` columns
    stand side by side.
    """

    name: str
    title: str
    caption: str
    stub: tuple[str, ...]
    blocks: Callable[[Run, S], Sequence[Block[R]]]
    over: str = ""
    labels: Callable[[R], tuple[str, ...]] = _title
    alone: str = ""
    beside: str = ""
    decimals: int = 1
    fewest: int = 1
    best: Literal["column", "row"] = "column"
    widest: int = WIDEST
    remarks: Callable[[Sequence[R]], tuple[str, ...]] = lambda rows: ()

    def __call__(self, run: Run, subject: S) -> Table | None:
        blocks = [block for block in self.blocks(run, subject) if block.rows]
        shown = [row for block in blocks for row in block.rows]
        if len(shown) < self.fewest or not blocks or not blocks[0].fields:
            return None
        printed = [
            [[_printed(f.compared_with(row), self.decimals) for f in b.fields] for row in b.rows] for b in blocks
        ]
        beside = any(not entry.empty for block in printed for row in block for entry in row)
        rows = [
            row
            for block, paper in zip(blocks, printed, strict=True)
            for row in self._rows(block, paper if beside else None)
        ]
        columns = in_blocks([[field.column for field in run] for run in blocks[0].runs], self.widest)
        stub = (*self.stub, "") if beside else self.stub
        caption = f"{self.caption} {self.beside if beside else self.alone}".strip()
        return Table(self.name, self.title, caption, stub, columns, tuple(rows), self.over, self.remarks(shown))

    def _rows(self, block: Block[R], paper: list[list[Entry]] | None) -> list[Row]:
        ours = self._marked(block, [[field.entry(row) for field in block.fields] for row in block.rows])
        if paper is None:
            return [
                Row(self.labels(row), entries, block.heading) for row, entries in zip(block.rows, ours, strict=True)
            ]
        found = []
        for row, own, printed in zip(block.rows, ours, self._marked(block, paper), strict=True):
            three = (own, printed, tuple(map(_difference, own, printed)))
            found += [
                Row((*self.labels(row), whose), entries, block.heading)
                for whose, entries in zip(WITH_PAPER, three, strict=True)
            ]
        return found

    def _marked(self, block: Block[R], entries: list[list[Entry]]) -> list[tuple[Entry, ...]]:
        """The entries, row by row, with the best in bold."""
        if self.best == "row":
            return [tuple(mark_best(of_row, block.fields[0].better)) for of_row in entries]
        columns = [
            _best_among(list(column), list(map(field.among, block.rows)), field.better)
            for field, column in zip(block.fields, zip(*entries, strict=True), strict=True)
        ]
        return list(zip(*columns, strict=True))


def _best_among(entries: list[Entry], keys: list[Hashable], better: str) -> list[Entry]:
    marked = list(entries)
    for key in dict.fromkeys(keys):
        here = [position for position, of_row in enumerate(keys) if of_row == key]
        for position, entry in zip(here, mark_best([entries[p] for p in here], better), strict=True):
            marked[position] = entry
    return marked


def _printed(number: Printed | None, decimals: int) -> Entry:
    return Entry() if number is None else Entry(value=number.mean, std=number.std, decimals=decimals)


def _difference(ours: Entry, paper: Entry) -> Entry:
    if paper.value is None:
        return Entry()
    if ours.value is None:
        return Entry(NOT_REQUESTED)
    return Entry(value=ours.value - paper.value, decimals=paper.decimals, signed=True)
