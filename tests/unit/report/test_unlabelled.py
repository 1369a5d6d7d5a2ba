"""Shift sets without labels in the report: shown where no label is needed, and never as a gap."""

import fabricate
import fabricate_ensembles
import pytest

from peftuq.report.adue import section as adue
from peftuq.report.ensembles import predictives
from peftuq.report.ensembles import section as ensembles
from peftuq.report.parts import Picture, Section
from peftuq.report.run import Run
from peftuq.report.tables import Table


def entries(section: Section, name: str, *labels: str) -> dict[str, str]:
    """The first row of a table that has these labels, by the columns' heads."""
    table = {item.name: item for item in section.all()}[name]
    row = next(row for row in table.rows if set(labels) <= set(row.labels))
    return {f"{c.group} {c.label}".strip(): e.plain for c, e in zip(table.columns, row.entries, strict=True)}


def check_no_gaps(section: Section, dataset: str) -> None:
    tables = [item for item in section.all() if isinstance(item, Table)]
    assert any(dataset in row.labels for table in tables for row in table.rows)
    assert not [
        (t.name, row) for t in tables for row in t.rows if dataset in row.labels and any(e.gap for e in row.entries)
    ]


def test_scores_are_judged_by_what_they_tell_apart(tmp_path, monkeypatch):
    monkeypatch.setattr(fabricate, "UNLABELLED", {"nyt2"})
    run = Run.read(**fabricate.results(tmp_path, {"adue": [("minilm", "snippets2", ["tweets2", "nyt2"])]}, 2, n=40))
    section = adue.SECTION.build(run, "adue")
    check_no_gaps(section, "nyt2")
    shifted = entries(section, "adue_shifts", "nyt2")
    assert shifted["Accuracy, %"] == shifted["AUROC"] == "–" and float(shifted["OOD AUROC"].split()[0]) > 0
    sets = entries(section, "adue_conformal", "nyt2")
    assert sets["LAC Coverage, %"] == "–" and sets["LAC Set size"][0].isdigit()
    assert "nyt2" not in {row.labels[-1] for row in {t.name: t for t in section.all()}["adue_best_score"].rows}


@pytest.fixture
def ensemble_run(tmp_path, monkeypatch) -> Run:
    monkeypatch.setattr(fabricate_ensembles, "UNLABELLED", {"mmlu_stem"})
    grid = [("mistral_7b", "csqa", "lora_map")]
    return Run.read(**fabricate_ensembles.results(tmp_path / "results", grid, sizes=(1, 2, 4), n=40))


def test_ensembles_are_followed_by_their_uncertainty(ensemble_run):
    section = ensembles.SECTION.build(ensemble_run, "ensembles")
    check_no_gaps(section, "mmlu_stem")
    quality = entries(section, "ensembles_quality", "mmlu_stem", "ensemble, M = 4")
    assert quality["Accuracy, %"] == "–" and float(quality["Mean, nats Entropy"]) > 0
    detection = predictives.DETECTION(ensemble_run, ensemble_run.settings("ensembles"))
    assert {row.labels[0] for row in detection.rows} == {"csqa", "mmlu_social"}
    (plane,) = [p for p in section.all() if isinstance(p, Picture) and p.name.startswith("ensembles_plane")]
    assert "without labels" in plane.caption
