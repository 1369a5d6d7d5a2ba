"""The whole report from a folder of results: one PDF, its tables and figures, whole or not at all."""

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from peftuq import files
from peftuq.report import document
from peftuq.report.parts import Question, Section
from peftuq.report.run import Run
from peftuq.report.tables import Column, Entry, Row, Table

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
TEMPLATE = ROOT / "reports" / "template.typ"


def render(arguments: dict[str, str], folder: Path) -> subprocess.CompletedProcess:
    command = [sys.executable, "workflow/scripts/render_report.py"]
    command += [part for name in ("cells", "metrics", "results") for part in (f"--{name}", arguments[name])]
    command += ["--pdf", str(folder / "report.pdf"), "--tables", str(folder / "tables")]
    command += ["--figures", str(folder / "figures"), "--files", str(folder / "files.json")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)


def words(pdf: Path) -> str:
    pypdf = pytest.importorskip("pypdf")
    text = " ".join(page.extract_text() for page in pypdf.PdfReader(pdf).pages)
    return " ".join(text.replace("\N{SOFT HYPHEN}", "").split())


@pytest.fixture(scope="module")
def rendered(fabricated: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reports")
    done = render(fabricated, folder)
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
    return folder


def test_the_pdf_says_what_the_tables_say(rendered: Path):
    text = words(rendered / "report.pdf")
    assert document.TITLE in text
    for expected in ("What ran", "Error detection", "paper’s Table 1", "Figure 4.", "Calibration", "dequantised from"):
        assert expected in text
    table = json.loads(json.dumps((rendered / "tables" / "adue_table1_error_auroc.csv").read_text())).splitlines()
    (adue,) = [line.split(",") for line in table if line.startswith("AdUE,ours")]
    assert f"{float(adue[2]):.1f} ± {float(adue[3]):.1f}" in text
    assert "88.4 ± 1.7" in text  # the paper's AdUE for LLaMA on SST-2
    assert "940 seeded rows of the official" in text  # a dataset's note on its splits


def test_every_table_and_figure_is_there(rendered: Path):
    tables = {path.name for path in (rendered / "tables").iterdir()}
    stems = {name.split(".")[0] for name in tables}
    assert tables == {f"{stem}.{ending}" for stem in stems for ending in ("csv", "md", "tex")}
    for number in (1, 2, 3, 4, 6, 7, 8):
        assert any(stem.startswith(f"adue_table{number}_") for stem in stems)
    figures = {path.name for path in (rendered / "figures").iterdir()}
    names = ("adue_ranks", "adue_auroc", "adue_reliability", "adue_risk_coverage")
    assert figures == {f"{name}.{ending}" for name in names for ending in ("pdf", "png")}


def test_nothing_names_the_machine(rendered: Path, fabricated: dict[str, str]):
    texts = [words(rendered / "report.pdf"), *(p.read_text() for p in (rendered / "tables").iterdir())]
    for text in texts:
        for secret in (str(ROOT), fabricated["results"], "/tmp/", "/home/", "/root/"):
            assert secret not in text
    if len(socket.gethostname()) > 4:
        assert not any(socket.gethostname() in text for text in texts)


def ends(page) -> list[tuple[float, float]]:
    """Where each run of text on a page begins and, at a third of its size a character, ends at least: points."""
    found = []

    def visit(text, cm, tm, font, size):
        if text.strip() and cm[3] < 0:  # typst sets text upside down; a figure's own text has the figure's coordinates
            start = cm[4] + cm[0] * tm[4]
            found.append((start, start + size / 3 * abs(cm[0]) * len(text.strip())))

    page.extract_text(visitor_text=visit)
    return found


def check_margins(pdf: Path) -> None:
    pypdf = pytest.importorskip("pypdf")
    for page in pypdf.PdfReader(pdf).pages:
        found = ends(page)
        assert found
        assert min(start for start, _ in found) >= 56  # the margin of 2 cm
        assert max(end for _, end in found) <= float(page.mediabox.width) - 56


def test_no_words_leave_the_page(rendered: Path):
    check_margins(rendered / "report.pdf")


def test_the_same_results_give_the_same_document(rendered: Path, fabricated: dict[str, str], tmp_path: Path):
    run = Run.read(**fabricated)
    section = Section("S", [document.sections(run, "1 May 2026")[-2]])
    for name in ("first.pdf", "second.pdf"):
        document.write_pdf([section], rendered / "figures", TEMPLATE, "1 May 2026", tmp_path / name)
    assert (tmp_path / "first.pdf").read_bytes() == (tmp_path / "second.pdf").read_bytes()


def test_a_failed_render_leaves_the_old_report(rendered: Path, fabricated: dict[str, str], tmp_path: Path):
    shutil.copytree(rendered, tmp_path / "reports")
    broken = tmp_path / "metrics.parquet"
    broken.write_bytes(b"not parquet")
    before = (tmp_path / "reports" / "report.pdf").read_bytes()
    assert render({**fabricated, "metrics": str(broken)}, tmp_path / "reports").returncode != 0
    assert (tmp_path / "reports" / "report.pdf").read_bytes() == before
    assert sorted(p.name for p in (tmp_path / "reports").iterdir()) == ["figures", "files.json", "report.pdf", "tables"]


def test_a_section_without_cells_is_not_printed(fabricated: dict[str, str]):
    run = Run.read(**fabricated)
    assert [section.title for section in document.sections(run, "today")] == [
        "Summary", "AdUE", "What ran", "Appendix: every method in every cell",
    ]  # fmt: skip
    for suite in run.suites.values():
        suite["sections"] = []
    assert [section.title for section in document.sections(run, "today")] == ["Summary", "What ran"]


def test_texts_are_set_as_they_are_never_as_markup(tmp_path: Path):
    hostile = '#panic("x") *bold* $x^2$ [a] <b> `c` @ref // note \\ "q" _i_ = h'
    rows = (Row((hostile,), (Entry(hostile, note=hostile),)),)
    table = Table("t", hostile, hostile, (hostile,), (Column(hostile, hostile),), rows, remarks=(hostile,))
    (tmp_path / "figures").mkdir()
    content = [Section(hostile, [hostile, table], [hostile], questions=[Question(hostile, [hostile])])]
    document.write_pdf(content, tmp_path / "figures", TEMPLATE, hostile, tmp_path / "x.pdf")
    assert words(tmp_path / "x.pdf").count('#panic("x") *bold* $x^2$') >= 8


@pytest.mark.parametrize("columns", [3, 9, 30])
def test_a_table_of_any_width_stays_on_the_page(columns: int, tmp_path: Path):
    entries = tuple(Entry(value=88.8, std=8.8) for _ in range(columns))
    heads = tuple(Column(f"dataset{i}") for i in range(columns))
    table = Table("t", "T.", "C.", ("Method",), heads, tuple(Row((f"m{i}",), entries) for i in range(9)))
    (tmp_path / "figures").mkdir()
    document.write_pdf([Section("S", [table])], tmp_path / "figures", TEMPLATE, "today", tmp_path / "x.pdf")
    check_margins(tmp_path / "x.pdf")
    pages = pytest.importorskip("pypdf").PdfReader(tmp_path / "x.pdf").pages
    assert sum(page.extract_text().count("88.8 ± 8.8") for page in pages) == 9 * columns  # in one line each


def test_a_long_table_breaks_and_loses_no_row(tmp_path: Path):
    rows = tuple(
        Row((f"method{i}x{k}",), (Entry("missing", note="why"),), f"cell{i}x") for i in range(40) for k in range(3)
    )
    table = Table("t", "T.", "C.", ("Score",), (Column("c"),), rows, "Cell")
    (tmp_path / "figures").mkdir()
    document.write_pdf([Section("S", [table])], tmp_path / "figures", TEMPLATE, "today", tmp_path / "x.pdf")
    text = words(tmp_path / "x.pdf")
    assert all(text.count(row.labels[0]) == 1 and text.count(row.heading) == 1 for row in rows)
    assert text.count("Score c") > 1  # the head again on every page


@pytest.mark.slow
def test_missing_files_do_not_stop_the_report(fabricated: dict[str, str], tmp_path: Path):
    """Only what stands in the two tables is there: every other file was lost."""
    bare = tmp_path / "results"
    bare.mkdir()
    cells = files.read_json(fabricated["cells"])
    cells["cells"] = [cell for cell in cells["cells"] if cell["dataset"] == "cola"]
    files.write_json(bare / "cells.json", cells)
    shutil.copy(fabricated["metrics"], bare)
    arguments = {"cells": str(bare / "cells.json"), "metrics": str(bare / "metrics.parquet"), "results": str(bare)}
    done = render(arguments, tmp_path / "reports")
    assert done.returncode == 0, done.stderr
    text = words(tmp_path / "reports" / "report.pdf")
    assert "the comparison was not made" in text
    assert "no training.json was found" in text


def test_cells_without_metrics_are_all_marked(fabricated: dict[str, str], tmp_path: Path):
    columns = {name: list(column)[:0] for name, column in files.read_columns(fabricated["metrics"]).items()}
    run = Run(files.read_json(fabricated["cells"]), columns, str(tmp_path))
    tables = {item.name: item for section in document.sections(run, "today") for item in section.all()}
    entries = [entry for row in tables["adue_table1_error_auroc"].rows for entry in row.entries]
    assert sum(entry.plain == "missing" for entry in entries) == 5 * 6
