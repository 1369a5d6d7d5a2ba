"""A suite may ask for the exact posterior beside an adapter's records: which must be there, with their training set."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from peftuq.config.study import Adapter, Study
from peftuq.errors import UserError
from peftuq.jobs.jobs import Jobs

CONFIG = Path(__file__).parents[3] / "config"
GRID = {
    "models": ["minilm"],
    "datasets": ["snippets2"],
    "recipes": ["lora_demo"],
    "seeds": 2,
    "shifts": {"snippets2": ["tweets2"]},
    "predictives": ["point"],
    "scores": ["softmax"],
}
GOLD = {"model": "minilm", "dataset": "snippets2", "recipe": "lora_demo", "seed": 1}
FIRST, SECOND = (Adapter("minilm", "snippets2", "lora_demo", seed) for seed in (0, 1))
FILE = "results/gold/minilm/snippets2/lora_demo/seed1.safetensors"


def jobs(tmp_path: Path, *golds: dict | None, **grid) -> Jobs:
    """Jobs of a run of one suite for each of `golds`."""
    root = tmp_path / "config"
    shutil.copytree(CONFIG, root)
    names = [f"suite{index}" for index in range(len(golds))]
    for name, gold in zip(names, golds, strict=True):
        suite = {"version": 1, "title": "s", "sections": ["adue"], "grids": [{**GRID, **grid}], "gold": gold}
        (root / f"suites/{name}.yaml").write_text(yaml.safe_dump(suite))
    return Jobs(Study({"suites": names, "sources": ["registry", "hub"]}, root))


def test_nothing_is_compared_unless_asked_for(tmp_path):
    found = jobs(tmp_path, None)
    assert found.render_report.inputs(None)["gold"] == []
    assert found.extract.parts(SECOND) == ["valid", "test", "tweets2"]


def test_the_report_waits_for_what_is_asked_for_and_extraction_answers_the_training_set(tmp_path):
    found = jobs(tmp_path, GOLD)
    assert found.render_report.inputs(None)["gold"] == [FILE]
    assert found.extract.parts(SECOND) == ["train", "valid", "test", "tweets2"]
    assert found.extract.parts(FIRST) == ["valid", "test", "tweets2"]
    assert found.list_cells.cells["suites"]["suite0"]["gold"]["rank"] == 4


def test_the_job_sees_its_settings_and_evaluation_sets_and_no_names(tmp_path):
    spec = json.loads(jobs(tmp_path, {**GOLD, "rank": 2}).compare_posteriors.spec(SimpleNamespace(**SECOND._asdict())))
    assert spec["evals"] == ["test", "tweets2"]
    assert (spec["seed"], spec["rank"], spec["half_lambda"]) == (1, 2, 1)
    assert not {"model", "dataset", "recipe"} & set(spec)


def test_suites_that_ask_for_the_same_share_it(tmp_path):
    assert jobs(tmp_path, GOLD, GOLD).compare_posteriors.outputs() == [FILE]


@pytest.mark.parametrize("golds, grid, message", [
    ([{**GOLD, "seed": 2}], {}, r"suite0\.yaml: gold: no grid of this run has minilm/snippets2/lora_demo, seed 2"),
    ([{**GOLD, "model": "mpnet"}], {}, r"no grid of this run has mpnet/snippets2"),
    ([{**GOLD, "rnak": 3}], {}, r"unknown key 'gold\.rnak' \(did you mean 'rank'\?\)"),
    ([{**GOLD, "chains": 1}], {}, r"key 'gold\.chains'"),
    ([GOLD, {**GOLD, "rank": 2}], {}, r"suite1\.yaml: gold: another suite of this run asks for other settings"),
    ([{**GOLD, "model": "smollm2", "dataset": "snippets2_choice"}],
     {"models": ["smollm2"], "datasets": ["snippets2_choice"], "shifts": {}}, r"gold: snippets2_choice is a choice"),
])  # fmt: skip
def test_mistakes_are_one_line(tmp_path, golds, grid, message):
    with pytest.raises(UserError, match=message) as caught:
        jobs(tmp_path, *golds, **grid)
    assert "\n" not in str(caught.value)
