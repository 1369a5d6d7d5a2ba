"""A score and a predictive that a user adds stand in every table of their kind, and in the figures that show all."""

from pathlib import Path
from typing import Any

import fabricate_ensembles
import fabricate_uq4ct
import pytest

from peftuq import files
from peftuq.evaluation import gather
from peftuq.report import document
from peftuq.report.ensembles import section as ensembles
from peftuq.report.parts import Picture, Section
from peftuq.report.run import Run
from peftuq.report.tables import Table
from peftuq.report.uq4ct import section as uq4ct

NOVEL = {"version": 1, "variants": ["novel"], "probabilities": ["novel"], "params": {}}
SWAG = {"version": 1, "reads": "records", "needs": [], "params": {}}


def with_additions(cells: dict[str, Any]) -> dict[str, Any]:
    """A score `novel` on every adapter's point, and a predictive `swag-7` beside it; not yet measured."""
    point = [cell for cell in cells["cells"] if cell["predictive"] == "point"]
    swag = [{**cell, "predictive": "swag-7", "scores": ["softmax", "novel"]} for cell in point]
    scored = [{**c, "scores": [*c["scores"], "novel"]} if c in point else c for c in cells["cells"]]
    return {**cells, "cells": [*scored, *swag], "methods": {**cells["methods"], "novel": NOVEL, "swag": SWAG}}


def tables(content: list[Section]) -> dict[str, Table]:
    return {item.name: item for section in content for item in section.all() if isinstance(item, Table)}


def words(table: Table) -> set[str]:
    return {label for row in table.rows for label in row.labels} | {column.label for column in table.columns}


@pytest.fixture(scope="module")
def adue(fabricated: dict[str, str]) -> list[Section]:
    cells = with_additions(files.read_json(fabricated["cells"]))
    return document.sections(Run(cells, files.read_columns(fabricated["metrics"]), fabricated["results"]), "today")


ADUE_SCORES = ("table7_all_encoders", "table8_all_decoders", "selective", "shifts")


@pytest.mark.parametrize("name", [*ADUE_SCORES, "error_calibration"])
def test_a_score_stands_in_every_table_of_scores(name: str, adue: list[Section]):
    assert {"novel", "novel (swag-7)", "SR (swag-7)"} <= words(tables(adue)[f"adue_{name}"])


def test_a_score_of_the_adapter_as_trained_stands_beside_the_papers_own(adue: list[Section]):
    found = words(tables(adue)["adue_table1_error_auroc"])
    assert "novel" in found
    assert not {"novel (swag-7)", "SR (swag-7)"} & found


def test_both_stand_in_the_matrix(adue: list[Section]):
    found = words(tables(adue)["summary_matrix"])
    assert {"novel · LoRA", "novel · LoRA, SWAG of 7", "LoRA, SWAG of 7"} <= found


def test_ranks_stay_among_the_papers_methods(adue: list[Section]):
    table = tables(adue)["adue_table1_error_auroc"]
    ranks = [i for i, column in enumerate(table.columns) if "ank" in column.label]
    (row,) = [row for row in table.rows if row.labels == ("novel", "ours")]
    assert {row.entries[i].plain for i in ranks} == {"–"}


@pytest.mark.parametrize("name", ["calibration", "conformal"])
def test_a_predictive_stands_in_every_table_of_predictives(name: str, adue: list[Section]):
    assert "swag-7" in words(tables(adue)[f"adue_{name}"])


def test_a_score_is_drawn_where_all_are(adue: list[Section]):
    (picture,) = [i for s in adue for i in s.all() if isinstance(i, Picture) and i.name == "adue_auroc"]
    assert "novel" in [label.get_text() for label in picture.figure.axes[0].get_yticklabels()]


def test_both_stand_in_the_section_on_ensembles(tmp_path: Path):
    cells = with_additions(
        fabricate_ensembles.cells_of([("mistral_7b", "csqa", "r")], {"r": fabricate_ensembles.recipe()}, 5, 2)
    )
    run = Run(cells, {name: [] for name in gather.COLUMNS}, str(tmp_path))
    found = tables([ensembles.SECTION.build(run, "ensembles")])
    assert "swag-7" in words(found["ensembles_quality"])
    assert {"swag-7", "novel"} <= words(found["ensembles_error_auroc"])


def test_both_stand_in_the_section_on_uq4ct(tmp_path: Path):
    task = ("smollm2", "obqa")
    cells = with_additions(
        fabricate_uq4ct.cells_of(
            [fabricate_uq4ct.cell((*task, recipe), 0, "point", ["test"]) for recipe in ("r2", "r3", "r4")]
        )
    )
    run = Run(cells, {name: [] for name in gather.COLUMNS}, str(tmp_path))
    found = tables([uq4ct.SECTION.build(run, "uq4ct")])
    for name in ("measures", "table4_in_distribution", "cost"):
        assert "UQ4CT, swag-7" in words(found[f"uq4ct_{name}"])
    assert "novel" in words(found["uq4ct_measures"])
    assert "novel" in words(found["uq4ct_crossed"])
