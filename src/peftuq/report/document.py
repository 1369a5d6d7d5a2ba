"""The document: sections in their order, written as tables and figures, and set as one PDF."""

import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from peftuq import files
from peftuq.report import formats, what_ran
from peftuq.report.answers import summary
from peftuq.report.figures import style
from peftuq.report.parts import Picture, Section
from peftuq.report.run import Run
from peftuq.report.sections import declared
from peftuq.report.tables import Table

TITLE = "Does a fine-tuned language model know when it is wrong?"
SUBTITLE = "Uncertainty of parameter-efficient adapters: benchmark report"


def sections(run: Run, date: str) -> list[Section]:
    """The summary, the papers that the run's suites feed, what ran, and the appendix of tables of every cell."""
    built = {section.title: section.build(run, paper) for paper, section in declared().items()}
    papers = [section for section in built.values() if section is not None]
    absent = [title for title, section in built.items() if section is None]
    content = [summary.section(run, papers, absent), *papers, what_ran.section(run, date)]
    behind = [Section(one.title, [*one.appendix]) for one in content if one.appendix]
    content = [replace(one, appendix=[]) for one in content]
    return [*content, Section("Appendix: every method in every cell", [*behind])] if behind else content


def write_tables(content: Sequence[Section], folder: Path) -> None:
    """Every table as `.csv`, `.md` and `.tex`; the folder appears whole or not at all."""
    with files.atomic_folder(folder) as temporary:
        for item in _all(content, Table):
            formats.write(item, temporary)


def write_figures(content: Sequence[Section], folder: Path) -> None:
    """Every figure as `.pdf` and `.png`; the folder appears whole or not at all."""
    with files.atomic_folder(folder) as temporary:
        for item in _all(content, Picture):
            style.save(item.figure, temporary, item.name)


def write_pdf(content: Sequence[Section], figures: Path, template: Path, date: str, pdf: Path) -> None:
    """Set the sections with `template`; `figures` holds their pictures. Only typst's own fonts are used.

    Raises `typst.TypstError` for a template that does not compile.
    """
    import typst

    described = {
        "title": TITLE,
        "subtitle": SUBTITLE,
        "date": date,
        "questions": [question._asdict() for section in content for question in section.questions],
        "sections": [_described(section) for section in content],
    }
    with tempfile.TemporaryDirectory() as name, files.atomic(pdf) as temporary:
        root = Path(name)
        shutil.copyfile(template, root / "report.typ")
        shutil.copytree(figures, root / "figures")
        (root / "document.json").write_text(json.dumps(described, ensure_ascii=False), encoding="utf-8")
        compiled = typst.compile(str(root / "report.typ"), root=str(root), ignore_system_fonts=True, timestamp=0)
        temporary.write_bytes(compiled)


def _all(content: Sequence[Section], kind: type) -> list[Any]:
    return [item for section in content for item in section.all() if isinstance(item, kind)]


def _described(item: Section | Table | Picture | str) -> dict[str, Any]:
    """A part of the document as the template reads it."""
    if isinstance(item, str):
        return {"kind": "paragraph", "text": item}
    if isinstance(item, Table):
        return formats.to_document(item)
    if isinstance(item, Picture):
        return {"kind": "figure", "name": item.name, "title": item.title, "caption": item.caption}
    items = [_described(inner) for inner in item.items]
    return {"kind": "section", "title": item.title, "findings": item.findings, "items": items}
