"""A table as CSV, as Markdown, and as the JSON that the document's template sets; as LaTeX: latex.py."""

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

from peftuq.files import atomic
from peftuq.report.latex import to_latex
from peftuq.report.tables import Entry, Row, Table, groups, printed_rows


def _stub(table: Table) -> tuple[str, ...]:
    """The heads of the row labels, with the headings' as the outermost of them."""
    return (table.over, *table.stub) if table.over else table.stub


def _labels(table: Table, row: Row) -> tuple[str, ...]:
    return (row.heading, *row.labels) if table.over else row.labels


# -- CSV: every number as measured, one column for it and one for its spread --------------------------------


def to_csv(table: Table) -> str:
    """All columns side by side; numbers unrounded, a gap by its mark."""
    spreads = [_spread(table, position) for position in range(len(table.columns))]
    header = list(_stub(table))
    for column, spread in zip(table.columns, spreads, strict=True):
        name = f"{column.group} / {column.label}" if column.group else column.label
        header += [name, *(f"{name} {suffix}" for suffix in spread)]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    for row in table.rows:
        fields = (field for entry, spread in zip(row.entries, spreads, strict=True) for field in _fields(entry, spread))
        writer.writerow([*_labels(table, row), *fields])
    return text.getvalue()


def _spread(table: Table, position: int) -> tuple[str, ...]:
    entries = [row.entries[position] for row in table.rows]
    if any(entry.interval is not None for entry in entries):
        return ("low", "high")
    return ("std",) if any(entry.std is not None for entry in entries) else ()


def _fields(entry: Entry, spread: tuple[str, ...]) -> list[str]:
    if entry.value is None:
        return [entry.text, *("" for _ in spread)]
    numbers = {"std": entry.std}
    if entry.interval is not None:
        numbers["low"], numbers["high"] = entry.interval
    return [repr(entry.value), *("" if (x := numbers.get(name)) is None else repr(x) for name in spread)]


# -- Markdown -------------------------------------------------------------------------------------------


def to_markdown(table: Table) -> str:
    """Pipe tables, one a block, with title, caption and footnotes."""
    parts = [f"**{_markdown(table.title)}** {_markdown(table.caption)}".rstrip()]
    for block in table.blocks():
        heads = [
            f"{_markdown(c.group)}<br>{_markdown(c.label)}" if c.group else _markdown(c.label) for c in block.columns
        ]
        lines = [
            [*map(_markdown, _stub(block)), *heads],
            [":--" for _ in _stub(block)] + [":--" if c.align == "left" else "--:" for c in block.columns],
        ]
        for row in block.rows:
            lines.append([*map(_markdown, _labels(block, row)), *(_markdown_entry(table, e) for e in row.entries)])
        parts.append("\n".join(f"| {' | '.join(line)} |" for line in lines))
    parts += [f"<sup>{table.mark(note)}</sup> {_markdown(note)}" for note in table.notes]
    parts += [_markdown(remark) for remark in table.remarks]
    return "\n\n".join(parts) + "\n"


def _markdown_entry(table: Table, entry: Entry) -> str:
    text = _markdown(entry.plain)
    if entry.gap:
        text = f"*{text}*"
    if entry.best:
        text = f"**{text}**"
    return text + (f"<sup>{table.mark(entry.note)}</sup>" if entry.note else "")


def _markdown(text: str) -> str:
    for character in "\\`*_[]<>|":
        text = text.replace(character, f"\\{character}")
    return text


# -- the document -----------------------------------------------------------------------------------------


def to_document(table: Table) -> dict[str, Any]:
    """The table as `reports/template.typ` reads it: plain strings and flags."""
    return {
        "kind": "table",
        "name": table.name,
        "title": table.title,
        "caption": table.caption,
        "notes": [[table.mark(note), note] for note in table.notes],
        "remarks": list(table.remarks),
        "blocks": [_document_block(table, block) for block in table.blocks()],
    }


def _document_block(table: Table, block: Table) -> dict[str, Any]:
    return {
        "stub": list(block.stub),
        "groups": [list(group) for group in groups(block)],
        "columns": [{"label": c.label, "align": c.align, "width": c.width} for c in block.columns],
        "rows": [
            {
                "heading": row.heading,
                "rule": row.rule,
                "labels": list(row.labels),
                "entries": [
                    {"text": e.plain, "best": e.best, "gap": e.gap, "mark": table.mark(e.note)} for e in row.entries
                ],
            }
            for row in printed_rows(block)
        ],
    }


# -- files ------------------------------------------------------------------------------------------------

FORMATS: dict[str, Callable[[Table], str]] = {"csv": to_csv, "md": to_markdown, "tex": to_latex}


def write(table: Table, folder: Path) -> None:
    """Write `<name>.csv`, `.md` and `.tex` into a folder."""
    for ending, to_text in FORMATS.items():
        with atomic(folder / f"{table.name}.{ending}") as temporary:
            temporary.write_text(to_text(table), encoding="utf-8")
