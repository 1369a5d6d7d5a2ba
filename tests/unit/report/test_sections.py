"""A paper's section is one file: it is found, built from the run, and part of the report's identity."""

from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from peftuq import report
from peftuq.config import schema
from peftuq.config.study import Study
from peftuq.jobs.jobs import Jobs
from peftuq.report import document, sections
from peftuq.report.run import Run
from peftuq.report.tables import Table

ROOT = Path(__file__).parents[3]
SECTIONS = ["adue", "costs", "disagreement", "ensembles", "laplace_protocol", "uq4ct"]
NEW = """
from typing import NamedTuple

from peftuq.report.declared import Block, DeclaredTable, Field
from peftuq.report.metric_table import Measure, metric_table, prediction
from peftuq.report.reference import Printed
from peftuq.report.sections import PaperSection
from peftuq.report.tables import Column, Entry, measured

class Model(NamedTuple):
    title: str
    name: str


def blocks(run, settings):
    def field(dataset):
        here = {s.model: s for s in settings if s.dataset == dataset}
        return Field(
            Column(dataset),
            lambda row: measured(run.over_seeds(here[row.name], "nll")) if row.name in here else Entry(),
            "lower",
            lambda row: Printed(0.5, 0.1) if (row.name, dataset) == ("minilm", "snippets2") else None,
        )

    rows = [Model(run.models[m]["title"], m) for m in dict.fromkeys(s.model for s in settings)]
    return [Block(rows, [[field(dataset) for dataset in dict.fromkeys(s.dataset for s in settings)]])]


BESIDE = DeclaredTable(
    "new_nll",
    "NLL.",
    "In nats.",
    ("Model",),
    blocks,
    alone="Ours alone.",
    beside="The paper’s below.",
)
ACCURACY = metric_table(
    "new_accuracy",
    "Accuracy.",
    "In per cent.",
    stub=("Probabilities",),
    lines=lambda run, setting: {(name,): prediction(name) for name in run.predictives(setting)},
    columns=(Measure("accuracy"), Measure("nll")),
)
SECTION = PaperSection(
    title="A new paper",
    reading=("How to read it.",),
    parts={"Its tables": [ACCURACY, BESIDE], "Nothing to show": [lambda run, settings: None]},
    findings=lambda run, settings: [f"{len(settings)} settings."],
    subject=lambda run, settings: settings,
)
"""


@pytest.fixture
def one_more_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "newpaper").mkdir()
    (tmp_path / "newpaper" / "section.py").write_text(NEW)
    monkeypatch.setattr(report, "__path__", [*report.__path__, str(tmp_path)])
    yield


def test_a_new_section_is_one_file(one_more_file, fabricated: dict[str, str], tmp_path: Path):
    run = Run.read(**fabricated)
    run.suites["demo"]["sections"] = ["adue", "newpaper"]
    found = document.sections(run, "today")
    titles = ["Summary", "AdUE", "A new paper", "What ran", "Appendix: every method in every cell"]
    assert [section.title for section in found] == titles
    new = found[2]
    reading, part = new.items  # the part that has nothing to show is not there
    assert (reading, part.title, new.findings) == ("How to read it.", "Its tables", ["3 settings."])
    table, beside = part.items
    assert isinstance(table, Table)
    assert beside.caption == "In nats. The paper’s below."
    rows = {row.labels: row.entries[0] for row in beside.rows}
    ours = run.over_seeds(run.settings("newpaper")[0], "nll").mean
    assert rows["all-MiniLM-L6-v2", "difference"].value == pytest.approx(ours - 0.5)
    (tmp_path / "figures").mkdir()
    document.write_tables([new], tmp_path / "tables")
    template = ROOT / "reports" / "template.typ"
    document.write_pdf([new], tmp_path / "figures", template, "today", tmp_path / "report.pdf")
    assert "all-MiniLM-L6-v2,paper,0.5,0.1" in (tmp_path / "tables" / "new_nll.csv").read_text()
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")
    setting = run.settings("newpaper")[0]
    expected = 100 * run.over_seeds(setting, "accuracy").mean
    assert table.rows[0].labels == ("point",)
    assert table.rows[0].entries[0].value == pytest.approx(expected)
    assert len(table.rows) == 2 * 3  # point and temperature of each setting


def test_suites_may_name_the_sections_that_there_are():
    assert sorted(sections.declared()) == SECTIONS == sorted(get_args(schema.Paper))


def test_sections_are_part_of_the_reports_identity():
    jobs = Jobs(Study({"suites": ["demo"], "sources": ["registry"]}, ROOT / "config"))
    assert [file.parent.name for file in jobs.render_report.plugins(None)] == SECTIONS
    assert jobs.render_report.code(None) != jobs.context.code("render_report", [])
