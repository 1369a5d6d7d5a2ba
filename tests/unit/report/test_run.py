"""A run as asked for and as measured: gaps, seeds, suites, order."""

import copy
import math

import fabricate
import pytest

from peftuq.cells import Setting
from peftuq.report.run import OverSeeds, Run

COLA = Setting("roberta", "cola", "lora")


def run_of(rows: list[tuple], seeds: int = 3) -> Run:
    cells = fabricate.cells_of({"adue": [("roberta", "cola", ["sst2"])]}, seeds)
    return Run(cells, fabricate.long_table(rows), "nowhere")


def auroc(seed: int, value: float | None) -> tuple:
    return ("roberta", "cola", "point", "sr", seed, "auroc", value)


def test_mean_and_sample_standard_deviation():
    over = run_of([auroc(0, 0.5), auroc(1, 0.7), auroc(2, 0.9)]).over_seeds(COLA, "auroc", "sr")
    assert over.mean == pytest.approx(0.7)
    assert over.std == pytest.approx(0.2)  # ddof = 1; ddof = 0 would be 0.163
    assert (over.missing, over.undefined, over.note) == ([], [], "")


def test_one_seed_has_no_standard_deviation():
    over = run_of([auroc(0, 0.5)], seeds=1).over_seeds(COLA, "auroc", "sr")
    assert (over.mean, over.std) == (0.5, None)


@pytest.mark.parametrize("undefined", [None, math.nan])
def test_missing_and_undefined_seeds_are_told_apart(undefined):
    over = run_of([auroc(0, 0.5), auroc(2, undefined)]).over_seeds(COLA, "auroc", "sr")
    assert (over.values, over.missing, over.undefined) == ({0: 0.5}, [1], [2])
    assert over.note == (
        "mean over 1 of 3 seeds; seed 1: not among the run’s metrics; seed 2: undefined (all wrong or all right)"
    )


def test_a_number_nobody_asked_for_is_no_gap():
    over = run_of([]).over_seeds(COLA, "auroc", "sr", predictive="ensemble-5")
    assert over == OverSeeds(reason=over.reason)
    assert not over.requested


def test_a_seed_that_was_not_asked_for_is_left_out():
    over = run_of([auroc(seed, 0.5 + seed / 10) for seed in range(4)], seeds=2).over_seeds(COLA, "auroc", "sr")
    assert list(over.values) == [0, 1]


def test_a_cell_of_two_suites_counts_once():
    cells = fabricate.cells_of({"adue": [("roberta", "cola", [])]}, 2)
    for cell in cells["cells"]:
        cell["suites"] = ["adue", "twin"]
    columns = fabricate.long_table([auroc(seed, 0.5) for seed in (0, 0, 1, 1)])
    over = Run(cells, columns, "nowhere").over_seeds(COLA, "auroc", "sr")
    assert over.values == {0: 0.5, 1: 0.5}


def test_a_shift_set_is_not_the_test_split():
    columns = fabricate.long_table([auroc(0, 0.5), auroc(0, 0.9)])
    columns["eval"][1] = "sst2"
    run = Run(fabricate.cells_of({"adue": [("roberta", "cola", ["sst2"])]}, 1), columns, "nowhere")
    assert run.over_seeds(COLA, "auroc", "sr").mean == 0.5
    assert run.over_seeds(COLA, "auroc", "sr", on="sst2").mean == 0.9
    assert run.shifts(COLA) == ["sst2"]


def test_settings_of_a_section_encoders_first():
    grids = {
        "demo": [("smollm2", "snippets2_choice", []), ("minilm", "snippets2", [])],
        "other": [("roberta", "cola", [])],
    }
    cells = fabricate.cells_of(grids, 1)
    cells["suites"]["other"]["sections"] = ["uq4ct"]
    run = Run(cells, fabricate.long_table([]), "nowhere")
    assert [setting.model for setting in run.settings("adue")] == ["minilm", "smollm2"]
    assert [setting.model for setting in run.settings("uq4ct")] == ["roberta"]
    assert run.settings("ensembles") == []


def test_the_adapters_of_a_setting_include_an_ensembles_members():
    cells = fabricate.cells_of({"adue": [("roberta", "cola", [])]}, 2)
    cells["methods"]["ensemble"] = {"version": 1, "needs": ["members"], "params": {}}
    cells["methods"]["mc_dropout"] = {"version": 1, "needs": [], "params": {}}
    run = Run(cells, fabricate.long_table([]), "nowhere")
    assert run.adapters(COLA) == [0, 1]
    cells["cells"] += [
        {**cells["cells"][0], "predictive": name, "scores": []} for name in ("ensemble-5", "mc_dropout-10")
    ]
    assert Run(cells, fabricate.long_table([]), "nowhere").adapters(COLA) == [0, 1, 2, 3, 4]
    untrained = copy.deepcopy(cells)
    untrained["recipes"]["lora"]["adapter"] = None
    assert Run(untrained, fabricate.long_table([]), "nowhere").adapters(COLA) == []


def test_files_that_are_not_there_are_missing_not_an_error():
    run = run_of([])
    assert run.comparison(COLA) is None
    assert run.training(COLA, 0) is None
    assert run.scores(COLA, 0, "adue") is None
    assert run.sample_facts(COLA, 0, "temperature") == {}
    assert run.model_origin("roberta") == {}
    assert run.dataset_facts("cola") == ({}, {})
