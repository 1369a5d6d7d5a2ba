"""CSV, Markdown, LaTeX and the document say the same."""

import csv
import io
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from peftuq.report import formats
from peftuq.report.latex import escape, to_latex
from peftuq.report.tables import Column, Entry, Row, Table, in_blocks

SPECIAL = "a_b 5 % of $x$ & #1 {y} ~ ^ \\ <z> [q] |r| λ ± − × – “w” ‖θ‖²"


def example() -> Table:
    runs = [[Column(f"d{i}", "Model A") for i in range(5)], [Column("d0", "Model_B"), Column("Δ", "")]]
    rows = [
        Row(
            ("SR", "ours"),
            (
                *tuple(Entry(value=80 + i + 0.0499, std=1.05 + i, best=i == 2) for i in range(5)),
                Entry("missing", note="seed 0: not among the run’s metrics"),
                Entry(value=-1.25, interval=(-2.5, 0.04), signed=True),
            ),
        ),
        Row(
            ("SR", "paper"),
            (
                *tuple(Entry(value=79.5, std=0.5) if i < 2 else Entry() for i in range(5)),
                Entry("undefined", note="all right"),
                Entry("–"),
            ),
        ),
    ]
    return Table(
        "t_x", f"Title {SPECIAL}.", "Caption.", ("Method", ""), in_blocks(runs, 5), tuple(rows), remarks=("R_1",)
    )


def cells_of_csv(text: str) -> dict[tuple, dict[str, str]]:
    """(labels) → column → what is printed there, rounded as the other formats do."""
    found = {}
    for row in csv.DictReader(io.StringIO(text)):
        values = {}
        for name, value in row.items():
            if name in ("Method", "") or name.endswith((" std", " low", " high")):
                continue
            printed = value
            if re.fullmatch(r"-?[\d.]+", value):
                printed = f"{float(value):.1f}"
                if row.get(f"{name} std"):
                    printed += f" ± {float(row[f'{name} std']):.1f}"
                if row.get(f"{name} low"):
                    bounds = (f"{float(row[f'{name} {end}']):+.1f}".replace("+0.0", "0.0") for end in ("low", "high"))
                    printed = f"{float(value):+.1f} [{', '.join(bounds)}]"
            values[name] = printed.replace("-", "−")
        found[row["Method"], row[""]] = values
    return found


def cells_of_markdown(text: str) -> dict[tuple, dict[str, str]]:
    found: dict[tuple, dict[str, str]] = {}
    text = re.sub(r"<sup>.*?</sup>", "", text).replace("**", "").replace("<br>", " / ")
    text = re.sub(r"(?<!\\)\*", "", text)
    text = re.sub(r"\\(.)", r"\1", text)
    header: list[str] = []
    for line in text.splitlines():
        if not line.startswith("|"):
            header = []
            continue
        fields = [field.strip() for field in line[1:-1].split(" | ")]
        if not header:
            header = fields
        elif not fields[0].startswith(":--"):
            found.setdefault(tuple(fields[:2]), {}).update(zip(header[2:], fields[2:], strict=True))
    return found


def cells_of_latex(text: str) -> list[str]:
    """The printed entries in their order, block by block."""
    for pattern, by in ((r"\$\\pm\$", "±"), (r"\$-\$", "−"), (r"\{\[\}", "["), (r"\{\]\}", "]"), ("--", "–")):
        text = re.sub(pattern, by, text)
    text = re.sub(r"\\(textbf|emph)\{([^{}]*)\}", r"\2", re.sub(r"\\textsuperscript\{\w+\}", "", text))
    lines = [line for line in text.splitlines() if line.endswith(r" \\") and "multicolumn" not in line]
    rows = [[field.strip() for field in line.removesuffix(r" \\").split(" & ")] for line in lines]
    return [field for row in rows if row[0] != "Method" for field in row[2:]]


def test_the_formats_agree():
    table = example()
    of_csv, of_markdown = cells_of_csv(formats.to_csv(table)), cells_of_markdown(formats.to_markdown(table))
    assert of_csv.keys() == of_markdown.keys() == {("SR", "ours"), ("SR", "paper")}
    for labels, values in of_csv.items():
        for name, printed in values.items():
            assert of_markdown[labels].get(name, "") == printed
    blocks = formats.to_document(table)["blocks"]
    of_document = [entry["text"] for block in blocks for row in block["rows"] for entry in row["entries"]]
    assert of_document == cells_of_latex(formats.to_latex(table))
    assert sorted(filter(None, of_document)) == sorted(v for row in of_csv.values() for v in row.values() if v)


def test_csv_keeps_every_digit():
    (first, _) = csv.DictReader(io.StringIO(formats.to_csv(example())))
    assert float(first["Model A / d2"]) == 82 + 0.0499
    assert float(first["Model A / d2 std"]) == 3.05
    assert (first["Δ low"], first["Δ high"]) == ("-2.5", "0.04")
    assert first["Model_B / d0"] == "missing"


def test_footnotes_are_in_every_printed_format():
    markdown, latex = formats.to_markdown(example()), formats.to_latex(example())
    assert "*missing*<sup>a</sup>" in markdown
    assert "*undefined*<sup>b</sup>" in markdown
    assert "<sup>b</sup> all right" in markdown
    assert r"\emph{missing}\textsuperscript{a}" in latex
    assert r"\textsuperscript{b} all right" in latex
    assert r"R\_1" in latex
    assert formats.to_document(example())["notes"][1] == ["b", "all right"]


def test_headings_become_a_column_where_there_are_no_spanning_rows():
    rows = tuple(Row(("SR",), (Entry("1"),), heading) for heading in ("A on x", "B on x"))
    table = Table("t", "T.", "", ("Score",), (Column("c"),), rows, "Cell")
    assert formats.to_csv(table) == "Cell,Score,c\nA on x,SR,1\nB on x,SR,1\n"
    assert "| B on x | SR | 1 |" in formats.to_markdown(table)
    assert r"\emph{B on x}" in to_latex(table)


def test_latex_escapes_all_that_is_special_and_stays_ascii():
    assert escape("5 % of a_b & $x$") == r"5 \% of a\_b \& \$x\$"
    assert escape(SPECIAL).isascii()


def test_markdown_bars_do_not_cut_cells():
    table = Table("t", "T.", "", ("M",), (Column("c"),), (Row(("a|b",), (Entry("p(x|y)"),)),))
    assert r"| a\|b | p(x\|y) |" in formats.to_markdown(table)


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no LaTeX on this machine")
def test_latex_compiles(tmp_path: Path):
    table = example()
    rows = (Row((SPECIAL,), (Entry(SPECIAL * 3),)), Row(("[1ex] is no length",), (Entry("[x]"),)))
    text = Table("t_y", "T.", "", ("M",), (Column("c", align="left", width=1),), rows)
    for item in (table, text):
        formats.write(item, tmp_path)
    inputs = "".join(rf"\input{{{item.name}}}" for item in (table, text))
    preamble = r"\documentclass{article}\usepackage[T1]{fontenc}\usepackage{booktabs,graphicx}"
    (tmp_path / "all.tex").write_text(rf"{preamble}\begin{{document}}{inputs}\end{{document}}")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull" not in done.stdout


def test_write_makes_the_three_files(tmp_path: Path):
    formats.write(example(), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["t_x.csv", "t_x.md", "t_x.tex"]
