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
NEW = """
from peftuq.report.metric_table import Measure, MetricTable, prediction
from peftuq.report.sections import PaperSection

ACCURACY = MetricTable(
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
    parts={"Its table": [ACCURACY], "Nothing to show": [lambda run, settings: None]},
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


def test_a_new_section_is_one_file(one_more_file, fabricated: dict[str, str]):
    run = Run.read(**fabricated)
    run.suites["demo"]["sections"] = ["adue", "newpaper"]
    found = document.sections(run, "today")
    assert [section.title for section in found] == ["What ran", "AdUE", "A new paper"]
    reading, part = found[-1].items  # the part that has nothing to show is not there
    assert (reading, part.title, found[-1].findings) == ("How to read it.", "Its table", ["3 settings."])
    (table,) = part.items
    assert isinstance(table, Table)
    setting = run.settings("newpaper")[0]
    expected = 100 * run.over_seeds(setting, "accuracy").mean
    assert table.rows[0].labels == ("point",)
    assert table.rows[0].entries[0].value == pytest.approx(expected)
    assert len(table.rows) == 2 * 3  # point and temperature of each setting


def test_suites_may_name_the_sections_that_there_are():
    assert tuple(sections.declared()) == get_args(schema.Paper) == ("adue", "ensembles", "uq4ct")


def test_sections_are_part_of_the_reports_identity():
    jobs = Jobs(Study({"suites": ["demo"], "sources": ["registry"]}, ROOT / "config"))
    assert [file.parent.name for file in jobs.render_report.plugins(None)] == ["adue", "ensembles", "uq4ct"]
    assert jobs.render_report.code(None) != jobs.context.code("render_report", [])
