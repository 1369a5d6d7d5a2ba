"""A table as data: rows and columns of entries, each a text or a number that knows how it is printed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Literal

from peftuq.report.run import OverSeeds

NOT_REQUESTED = "–"  # the run was not asked for this number
MISSING, UNDEFINED = "missing", "undefined"
WIDEST = 7  # columns of numbers that stand side by side on a portrait page


@dataclass(frozen=True)
class Entry:
    """An entry of a table: a `text`, or a `value` with its `std` or `interval`.

    A `text` of MISSING or UNDEFINED stands for a number that was asked for; `note` says why, as a footnote.
    """

    text: str = ""
    value: float | None = None
    std: float | None = None
    interval: tuple[float, float] | None = None
    decimals: int = 1
    signed: bool = False
    best: bool = False
    note: str = ""

    @property
    def empty(self) -> bool:
        return self.value is None and not self.text

    @property
    def gap(self) -> bool:
        """True where a number that was asked for is not there."""
        return self.text in (MISSING, UNDEFINED)

    @property
    def plain(self) -> str:
        """The entry in Unicode, without its footnote."""
        if self.value is None:
            return self.text
        if self.interval is not None:
            low, high = (self._number(bound) for bound in self.interval)
            return f"{self._number(self.value)} [{low}, {high}]"
        return self._number(self.value) + ("" if self.std is None else f" ± {self.std:.{self.decimals}f}")

    def _number(self, value: float) -> str:
        """With a true minus sign, and none before a zero."""
        printed = f"{value:{'+' if self.signed else ''}.{self.decimals}f}"
        if float(printed) == 0:
            return printed.lstrip("+-")
        return printed.replace("-", "−")


def measured(over: OverSeeds, scale: float = 1.0, decimals: int = 1) -> Entry:
    """The entry of a metric over seeds: mean ± std, or the mark and the reason of its absence."""
    if not over.requested:
        return Entry(NOT_REQUESTED)
    if over.mean is None:
        return Entry(UNDEFINED if over.undefined else MISSING, note=over.note)
    std = None if over.std is None else scale * over.std
    return Entry(value=scale * over.mean, std=std, decimals=decimals, note=over.note)


@dataclass(frozen=True)
class Column:
    """`group` is printed once above neighbouring columns that share it. Columns of one `block` stand side by side."""

    label: str
    group: str = ""
    block: int = 0
    align: Literal["left", "right", "center"] = "center"
    width: int = 0  # > 0: a text that wraps, with this share of the page's remaining width


@dataclass(frozen=True)
class Row:
    """`labels` name the row, outermost first. Rows that share a `heading` stand together under it."""

    labels: tuple[str, ...]
    entries: tuple[Entry, ...]
    heading: str = ""


@dataclass(frozen=True)
class Table:
    """`name` is the name of its files, `title` what it shows, `caption` how to read it, `stub` heads the row labels.

    `over` names what the rows' headings are; empty when they have none.
    """

    name: str
    title: str
    caption: str
    stub: tuple[str, ...]
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    over: str = ""
    remarks: tuple[str, ...] = ()  # on the table as a whole, after the footnotes

    @property
    def notes(self) -> list[str]:
        """The footnotes in the order of their first mark."""
        return list(dict.fromkeys(entry.note for row in self.rows for entry in row.entries if entry.note))

    def mark(self, note: str) -> str:
        """The letter of a footnote: a, b, …, z, aa, …; "" for none."""
        return _letters(self.notes.index(note)) if note else ""

    def blocks(self) -> list["Table"]:
        """The table cut into pieces that fit side by side; rows that are empty in a piece are left out of it."""
        positions = range(len(self.columns))
        return [
            self._part(list(group))
            for _, group in groupby(positions, key=lambda position: self.columns[position].block)
        ]

    def _part(self, positions: Sequence[int]) -> "Table":
        rows = (replace(row, entries=tuple(row.entries[position] for position in positions)) for row in self.rows)
        kept = tuple(row for row in rows if not all(entry.empty for entry in row.entries))
        return replace(self, columns=tuple(self.columns[position] for position in positions), rows=kept)


def _letters(index: int) -> str:
    return ("" if index < 26 else _letters(index // 26 - 1)) + chr(ord("a") + index % 26)


def groups(table: Table) -> list[tuple[str, int]]:
    """The columns' group headings, each with the number of columns it spans; empty when no column has one."""
    spans = [(name, len(list(columns))) for name, columns in groupby(table.columns, key=lambda column: column.group)]
    return spans if any(name for name, _ in spans) else []


@dataclass(frozen=True)
class PrintedRow:
    """A row as it is set: what repeats the row above is left blank; `rule`: a new group of rows begins here."""

    heading: str
    labels: tuple[str, ...]
    entries: tuple[Entry, ...]
    rule: bool


def printed_rows(table: Table) -> list[PrintedRow]:
    printed: list[PrintedRow] = []
    above: Row | None = None
    for row in table.rows:
        begins = above is None or above.heading != row.heading
        same = -1 if begins else _shared(above.labels[:-1], row.labels[:-1])
        blanked = tuple("" if position < same else label for position, label in enumerate(row.labels))
        grouped = bool(row.heading) or len(row.labels) > 1
        rule = grouped and (begins or (len(row.labels) > 1 and above.labels[0] != row.labels[0]))
        printed.append(PrintedRow(row.heading if begins else "", blanked, row.entries, rule))
        above = row
    return printed


def _shared(above: Sequence[str], here: Sequence[str]) -> int:
    """The number of labels that, outermost first, repeat those of the row above."""
    return next((position for position, (a, b) in enumerate(zip(above, here, strict=True)) if a != b), len(here))


def in_blocks(runs: Sequence[Sequence[Column]], widest: int = WIDEST) -> tuple[Column, ...]:
    """Assign runs of columns to blocks of at most `widest`: all to one if they fit, else every run begins a new one.

    The columns of one group are kept together where they fit.
    """
    if sum(map(len, runs)) <= widest:
        return tuple(column for run in runs for column in run)
    placed: list[Column] = []
    for run in runs:
        block = placed[-1].block + 1 if placed else 0
        used = 0
        for _, group in groupby(run, key=lambda column: column.group):
            members = list(group)
            if used and used + len(members) > widest:
                block, used = block + 1, 0
            for column in members:
                if used == widest:
                    block, used = block + 1, 0
                placed.append(replace(column, block=block))
                used += 1
    return tuple(placed)


def mark_best(entries: Sequence[Entry], better: str) -> list[Entry]:
    """The entries with the best value (all of them at a tie) printed bold; `better` "higher" or "lower"."""
    values = [entry.value for entry in entries if entry.value is not None]
    if len(values) < 2 or better not in ("higher", "lower"):
        return list(entries)
    choose: Callable[..., float] = max if better == "higher" else min
    best = choose(values)
    return [replace(entry, best=entry.value == best) for entry in entries]
