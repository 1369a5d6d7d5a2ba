"""Files of the workflow's trace, and how the report reads them."""

import json
from pathlib import Path

import fabricate_ensembles
import numpy as np
import pytest

from peftuq import files
from peftuq.cells import Setting
from peftuq.evaluation import training_dynamics
from peftuq.report.ensembles import traces
from peftuq.report.run import Run

SETTING = Setting("mistral_7b", "csqa", "lora_map")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> traces.Trace:
    return fabricate_ensembles.a_trace(tmp_path_factory.mktemp("trace"), [1, 2, 5], 4, n=60)


def test_the_file_says_how_many_options_the_questions_of_each_part_have(tmp_path: Path):
    members = fabricate_ensembles.epoch_files(tmp_path, 2, 1, n=30)
    facts = training_dynamics.facts(members, 2)
    assert facts["members"] == "2"
    assert json.loads(facts["options"]) == {"train": 5, "valid": 5, "test": 5, "mmlu_stem": 4, "mmlu_social": 4}


def test_answers_lie_in_the_feasible_region_of_their_part(found: traces.Trace):
    for part in found.parts:
        for epoch in found.epochs:
            answers = found.answers(part, epoch)
            assert (answers.mutual_information >= 0).all()
            assert (answers.mutual_information <= answers.entropy + 1e-12).all()
            assert (answers.entropy <= np.log(found.options[part]) + 1e-12).all()


def test_curves_and_examples_are_of_the_same_ensemble(found: traces.Trace):
    assert (found.members, found.sizes, found.epochs) == (5, [1, 2, 5], [1, 2, 3, 4])
    assert found.evals == ["test", "mmlu_stem", "mmlu_social"]
    assert len(found.ensembles("nll", "test", 1, 2)) == 2
    answers = found.answers("test", 3)
    for metric, values in (("entropy", answers.entropy), ("accuracy", answers.correct)):
        assert found.ensembles(metric, "test", 3, 5)[0] == pytest.approx(values.mean())


def test_the_best_epoch_is_that_of_the_shown_ensemble_on_valid(found: traces.Trace):
    nlls = [found.ensembles("nll", "valid", epoch, 5)[0] for epoch in found.epochs]
    assert found.best_epoch == 1 + int(np.argmin(nlls))
    alone = [found.ensembles("nll", "valid", epoch, 1)[0] for epoch in found.epochs]
    assert found.best_epoch != 1 + int(np.argmin(alone))  # a single member overfits sooner


@pytest.mark.parametrize(
    ("nlls", "shown"),
    [
        ([3, 1, 2], {1: "epoch 1 (first)", 2: "epoch 2 (best)", 3: "epoch 3 (last)"}),
        ([1, 2, 3], {1: "epoch 1 (first, best)", 3: "epoch 3 (last)"}),
        ([2, 1], {1: "epoch 1 (first)", 2: "epoch 2 (best, last)"}),
        ([1], {1: "epoch 1"}),
    ],
)
def test_an_epoch_is_shown_once_under_all_its_names(nlls: list[float], shown: dict, found: traces.Trace):
    rows = [{"part": "valid", "epoch": e, "size": 5, "first": 0, "nll": nll} for e, nll in enumerate(nlls, start=1)]
    assert traces.Trace("csqa", rows, found._examples).shown_epochs == shown


def test_why_there_is_no_trace(tmp_path: Path):
    recipes = {"lora_map": fabricate_ensembles.recipe()}
    cells = fabricate_ensembles.cells_of([SETTING], recipes, 5, 1)
    source = fabricate_ensembles.results(tmp_path / "results", [SETTING], sizes=(1, 2), epochs=1, n=20)["results"]
    run = Run(cells, {name: [] for name in files.read_columns(f"{source}/metrics.parquet")}, source)
    assert traces.why_none(run, SETTING) == ""
    assert traces.read(run, SETTING).members == 2
    Path(run.paths.trace_examples(*SETTING)).unlink()
    assert traces.why_none(run, SETTING) == "the trace of its training is missing"
    assert traces.read(run, SETTING) is None
    run.recipes["lora_map"] = {**recipes["lora_map"], "epoch_records": None}
    assert traces.why_none(run, SETTING) == "its recipe does not record every epoch"
