"""The report and its page read what their jobs are given: a job on another machine would find no other file."""

import json
from pathlib import Path

import numpy as np
import pytest

from peftuq import artifacts
from peftuq.config.study import Study
from peftuq.evaluation import gather
from peftuq.jobs.jobs import Jobs
from peftuq.jobs.rule import Rule
from peftuq.report import document
from peftuq.report.html import board, examples
from peftuq.report.html.blocks import Blocks
from peftuq.report.run import Run

CONFIG = Path(__file__).parents[3] / "config"


SAMPLES = artifacts.Samples(np.zeros(1, int), np.zeros(1, int), np.ones((1, 1, 1)))


def given(rule: Rule) -> set[str]:
    inputs = rule.inputs(None).values()
    return {path for paths in inputs for path in ([paths] if isinstance(paths, str) else paths)}


def noted(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The files that are looked for from now on."""
    looked_for, is_file = set(), Path.is_file
    monkeypatch.setattr(Path, "is_file", lambda path: looked_for.add(str(path)) or is_file(path))
    return looked_for


@pytest.mark.parametrize("suites", [["demo", "demo_ensembles", "demo_uq4ct"], ["uq4ct"]], ids=["demo", "paper"])
def test_the_report_looks_for_no_file_that_its_job_is_not_given(tmp_path, monkeypatch, suites):
    results = str(tmp_path / "results")
    jobs = Jobs(Study({"suites": suites, "sources": ["registry", "hub"], "results": results}, CONFIG))
    looked_for = noted(monkeypatch)
    cells = json.loads(json.dumps(jobs.list_cells.cells))
    document.sections(Run(cells, {name: [] for name in gather.COLUMNS}, results), "today")
    looked_for = {path for path in looked_for if path.startswith(results)}
    assert {Path(path).relative_to(results).parts[0] for path in looked_for} >= {"models", "data", "adapters", "scores"}
    logs = {path.replace("training.json", "train_log.jsonl") for path in looked_for if path.endswith("training.json")}
    assert sorted((looked_for | logs) - given(jobs.render_report)) == []


def test_the_page_looks_for_no_file_that_its_job_is_not_given(tmp_path, monkeypatch):
    results = str(tmp_path / "results")
    suites = ["demo", "demo_ensembles", "demo_uq4ct"]
    jobs = Jobs(Study({"suites": suites, "sources": ["registry"], "results": results}, CONFIG))
    cells = json.loads(json.dumps(jobs.list_cells.cells))
    run = Run(cells, {name: [] for name in gather.COLUMNS}, results)
    looked_for, parts = set(), dict.fromkeys(["test", *cells["datasets"]], SAMPLES)

    def file(path: str) -> str | None:
        looked_for.add(path)
        return path if path.endswith(".safetensors") else None

    monkeypatch.setattr(run, "file", file)
    monkeypatch.setattr(examples, "_texts", lambda run, dataset: file(run.paths.data("test", dataset)) or ["text"])
    monkeypatch.setattr(artifacts, "SampleFile", lambda path: parts)
    board.costs(run)
    examples.sets(run, Blocks())
    kinds = {Path(path).relative_to(results).parts[0] for path in looked_for}
    assert kinds >= {"data", "adapters", "samples", "scores", "records"}
    assert sorted(looked_for - given(jobs.render_html)) == []
