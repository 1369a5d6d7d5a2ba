"""A table that is declared: its rows, its columns, the entry where they meet, and what that is compared with."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Generic, Protocol, TypeVar

from peftuq.report.beside_paper import Line, beside_paper, stub
from peftuq.report.reference import Printed
from peftuq.report.run import Run
from peftuq.report.tables import Column, Entry, Row, Table, in_blocks


class Titled(Protocol):
    """A row before it is filled, such as a method or a model: its label."""

    @property
    def title(self) -> str: ...


S = TypeVar("S", contravariant=True)  # the subject of a paper's section
R = TypeVar("R", bound=Titled)


@dataclass(frozen=True)
class Field(Generic[R]):
    """A column: its head, a row's entry in it, and the paper's number that the entry is compared with.

    `better`: "higher" or "lower", for its best to be bold.
    """

    column: Column
    entry: Callable[[R], Entry]
    better: str = ""
    compared_with: Callable[[R], Printed | None] = lambda row: None


@dataclass(frozen=True)
class DeclaredTable(Generic[S, R]):
    """Called with a run and its subject it is the table; None for fewer than `fewest` rows, or for no column.

    `columns` are made for the rows that are shown, in runs that are kept together, once for every heading with the
    `headings`' key (by default one without a text). `alone` or `beside` ends the caption, where the paper has none of
    the numbers or some; they are printed with `decimals`.
    """

    name: str
    title: str
    caption: str
    stub: str
    rows: Callable[[Run, S], Sequence[R]]
    columns: Callable[[Run, S, Sequence[R], str], Sequence[Sequence[Field[R]]]]
    headings: Mapping[str, str] = field(default_factory=lambda: {"": ""})
    over: str = ""
    alone: str = ""
    beside: str = ""
    decimals: int = 1
    fewest: int = 1
    remarks: Callable[[Sequence[R]], tuple[str, ...]] = lambda rows: ()

    def __call__(self, run: Run, subject: S) -> Table | None:
        shown = self.rows(run, subject)
        if len(shown) < self.fewest:
            return None
        rows: list[Row] = []
        for heading, key in self.headings.items():
            runs = self.columns(run, subject, shown, key)
            fields = [one for several in runs for one in several]
            if not fields:
                return None
            lines = [self._line(row, fields) for row in shown]
            rows += [replace(row, heading=heading) for row in beside_paper(lines, [one.better for one in fields])]
        heads, columns = stub(self.stub, rows), in_blocks([[one.column for one in several] for several in runs])
        caption = f"{self.caption} {self.beside if len(heads) > 1 else self.alone}".strip()
        remarks = self.remarks(shown)
        return Table(self.name, self.title, caption, heads, columns, tuple(rows), self.over, remarks)

    def _line(self, row: R, fields: Sequence[Field[R]]) -> Line:
        ours, printed = [one.entry(row) for one in fields], [one.compared_with(row) for one in fields]
        return Line(row.title, ours, printed, self.decimals)
