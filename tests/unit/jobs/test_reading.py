"""The report reads what its job is given: a job on another machine would find no other file."""

import json
from pathlib import Path

import pytest

from peftuq.config.study import Study
from peftuq.evaluation import gather
from peftuq.jobs.jobs import Jobs
from peftuq.report import document
from peftuq.report.run import Run

CONFIG = Path(__file__).parents[3] / "config"


@pytest.mark.parametrize("suites", [["demo", "demo_ensembles", "demo_uq4ct"], ["uq4ct"]], ids=["demo", "paper"])
def test_the_report_looks_for_no_file_that_its_job_is_not_given(tmp_path, monkeypatch, suites):
    results = str(tmp_path / "results")
    jobs = Jobs(Study({"suites": suites, "sources": ["registry", "hub"], "results": results}, CONFIG))
    given = {
        path
        for paths in jobs.render_report.inputs(None).values()
        for path in ([paths] if isinstance(paths, str) else paths)
    }
    looked_for, is_file = set(), Path.is_file

    def noted(path: Path) -> bool:
        looked_for.add(str(path))
        return is_file(path)

    monkeypatch.setattr(Path, "is_file", noted)
    cells = json.loads(json.dumps(jobs.list_cells.cells))
    document.sections(Run(cells, {name: [] for name in gather.COLUMNS}, results), "today")
    looked_for = {path for path in looked_for if path.startswith(results)}
    assert {Path(path).relative_to(results).parts[0] for path in looked_for} >= {"models", "data", "adapters", "scores"}
    logs = {path.replace("training.json", "train_log.jsonl") for path in looked_for if path.endswith("training.json")}
    assert sorted((looked_for | logs) - given) == []
