"""A configuration is validated whole: every mistake is one line with file, key and what is allowed."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from peftuq.config.study import Cell, Setting, Study
from peftuq.errors import UserError
from peftuq.jobs.jobs import Jobs

CONFIG = Path(__file__).parents[3] / "config"
GRID = {
    "models": ["minilm"],
    "datasets": ["snippets2"],
    "recipes": ["lora_demo"],
    "seeds": 2,
    "predictives": ["point", "temperature"],
    "scores": ["softmax", "mahalanobis"],
}


@pytest.fixture
def root(tmp_path):
    """A copy of `config/` to make mistakes in, with one small suite."""
    shutil.copytree(CONFIG, tmp_path / "config")
    write(tmp_path / "config/suites/small.yaml", {"version": 1, "title": "s", "sections": ["adue"], "grids": [GRID]})
    return tmp_path / "config"


def write(path: Path, content: dict) -> None:
    path.write_text(yaml.safe_dump(content))


def study(root: Path, **config) -> Study:
    return Study({"suites": ["small"], "sources": ["registry", "hub"], **config}, root)


def suite(root: Path, **grid) -> None:
    content = {"version": 1, "title": "s", "sections": ["adue"], "grids": [{**GRID, **grid}]}
    write(root / "suites/small.yaml", content)


def test_expands_to_cells_with_the_scores_that_apply(root):
    cells = study(root).cells
    assert cells == {
        Cell("minilm", "snippets2", "lora_demo", seed, predictive): scores
        for predictive, scores in {"point": ["softmax", "mahalanobis"], "temperature": ["softmax"]}.items()
        for seed in (0, 1)
    }


def test_members_of_five_are_the_first_five_of_twenty(root):
    suite(root, predictives=["point", "ensemble-5", "ensemble-20"], scores=["softmax", "information"])
    found = study(root)
    five, twenty = (found.members(Cell("minilm", "snippets2", "lora_demo", 0, f"ensemble-{m}")) for m in (5, 20))
    assert five == twenty[:5] == [0, 1, 2, 3, 4]
    assert len(found.adapters) == 20  # the two plain seeds are members, too: nothing is trained twice
    assert found.cells[Cell("minilm", "snippets2", "lora_demo", 0, "ensemble-5")] == ["softmax", "information"]
    assert found.cells[Cell("minilm", "snippets2", "lora_demo", 0, "point")] == ["softmax"]


@pytest.mark.parametrize("recipe, gpus", [("lora_demo", 0), ("lora_demo", 1000), ("base", 2)])
def test_a_training_has_as_many_gpus_as_can_share_its_batch(root, recipe, gpus):
    path = root / f"recipes/{recipe}.yaml"
    write(path, {**yaml.safe_load(path.read_text()), "gpus": gpus})
    suite(root, recipes=[recipe], seeds=1, predictives=["point"], scores=["softmax"])
    with pytest.raises(UserError, match=rf"recipes/{recipe}\.yaml.*gpus"):
        study(root)


def test_suites_share_cells(root):
    write(
        root / "suites/other.yaml", {"version": 1, "title": "o", "sections": ["adue"], "grids": [{**GRID, "seeds": 3}]}
    )
    found = study(root, suites=["small", "other"])
    assert len(found.adapters) == 3
    assert found.suites_of[Cell("minilm", "snippets2", "lora_demo", 0, "point")] == ["small", "other"]


def test_any_classification_dataset_is_also_a_choice_dataset(root):
    suite(root, models=["smollm2"], datasets=["sst5_choice"])
    assert study(root, sources=["hub", "registry"]).dataset("sst5_choice").kind == "choice"


@pytest.mark.parametrize("change, message", [
    ({"models": ["minilmm"]}, r"suites/small\.yaml: grids\.0\.models: unknown model 'minilmm' \(did you mean 'minilm'"),
    ({"datasets": ["sst9"]}, r"grids\.0\.datasets: unknown dataset 'sst9'"),
    ({"recipes": ["lorra"]}, r"grids\.0\.recipes: unknown recipe 'lorra'.*allowed: .*lora"),
    ({"scores": ["mahalonobis"]}, r"grids\.0\.scores: unknown score 'mahalonobis' \(did you mean 'mahalanobis'"),
    ({"predictives": ["ensemble"]}, r"predictives: 'ensemble': write 'ensemble-5'"),
    ({"predictives": ["temperature-5"]}, r"predictives: 'temperature-5': write 'temperature'"),
    ({"predictives": ["guess"]}, r"predictives: unknown predictive 'guess'"),
    ({"models": []}, r"key 'grids\.0\.models'"),
    ({"seeds": 0}, r"key 'grids\.0\.seeds'"),
    ({"sedes": 3}, r"unknown key 'grids\.0\.sedes' \(did you mean 'seeds'\?\); allowed: .*predictives"),
    ({"shifts": {"sst2": ["tweets2"]}}, r"shifts: unknown training dataset 'sst2'"),
    ({"shifts": {"snippets2": ["tweets5"]}}, r"shifts: tweets5 does not share the kind and classes of snippets2"),
    ({"datasets": ["snippets2_choice"]}, r"minilm is an encoder and cannot answer snippets2_choice"),
    ({"datasets": ["tweets2"]}, r"tweets2 is for evaluation only: list it under shifts"),
    ({"models": ["smollm2"], "datasets": ["obqa_choice"]}, r"obqa is a choice dataset already"),
])  # fmt: skip
def test_mistakes_in_a_suite_are_one_line(root, change, message):
    suite(root, **change)
    with pytest.raises(UserError, match=message) as raised:
        study(root)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("config, message", [
    ({"suites": ["demoo"]}, r"config: suites: unknown suite 'demoo' \(did you mean 'demo'"),
    ({"sorces": ["hub"]}, r"config: unknown key 'sorces' \(did you mean 'sources'"),
    ({"sources": ["web"]}, r"config: key 'sources\.0'"),
    ({"sources": ["local"]}, r"local_root"),
    ({"sources": ["hub"], "suites": ["demo"]}, r"config/.*\.yaml: offers the sources .*registry.*allows only hub"),
    ({"limit": {"train": -5}}, r"config: key 'limit\.train'"),
    ({"methods": {"adue": {"learning_rate": 1}}}, r"methods\.adue: unknown parameter 'learning_rate'"),
    ({"methods": {"adue": {"batch_size": "big"}}}, r"methods\.adue\.batch_size: must be int like 64, got 'big'"),
    ({"methods": {"adeu": {}}}, r"methods: unknown method 'adeu' \(did you mean 'adue'"),
])  # fmt: skip
def test_mistakes_in_the_configuration_are_one_line(root, config, message):
    with pytest.raises(UserError, match=message) as raised:
        study(root, **config)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("file, text, message", [
    ("recipes/lora_demo.yaml", "version: [1", r"lora_demo\.yaml: line \d+: not valid YAML"),
    ("recipes/lora_demo.yaml", "- 1", r"lora_demo\.yaml: must be a mapping"),
    ("recipes/lora_demo.yaml", "extends: loraa", r"lora_demo\.yaml: extends: unknown file to extend 'loraa'"),
    ("recipes/lora_demo.yaml", "extends: lora\nadapter: {rank: eight}", r"lora_demo\.yaml: key 'adapter\.rank'"),
    ("recipes/lora_demo.yaml", "extends: lora\nprompt: nope", r"prompt: unknown prompt 'nope'"),
    ("recipes/lora_demo.yaml", "extends: lora\nloss: {calibration: {}}", r"loss\.calibration: needs adapter\.mixture"),
    ("recipes/lora_demo.yaml", "extends: lora\nadapter: {mixture: {top_k: 9}}", r"top_k: must be at most experts = 8"),
    ("recipes/lora_demo.yaml", "extends: lora\nadapter: {mixture: {}}\nprior: {half_lambda: 1}", "needs plain LoRA"),
    ("recipes/lora_demo.yaml", "extends: lora\nsweep: {key: adapter.rank}", r"sweep: key 'values' is missing"),
    ("recipes/lora_demo.yaml", "extends: lora\nsweep: {key: adapter.rank, values: [0]}", r"sweep value 0"),
    ("prompts/letters.yaml", "extends: options_first\ndatasets: {bolq: mixlora}", r"letters.*: unknown dataset 'bolq'"),
    ("prompts/letters.yaml", "extends: options_first\ndatasets: {boolq: mix}", r"datasets\.boolq: .* prompt 'mix'"),
    ("models/minilm.yaml", "version: 1", r"minilm\.yaml: key 'title' is missing"),
])  # fmt: skip
def test_mistakes_in_a_file_name_it(root, file, text, message):
    (root / file).write_text(text)
    with pytest.raises(UserError, match=message):
        study(root)


def test_a_dataset_is_asked_with_a_prompt_of_its_own_and_no_other_job_sees_it(root):
    suite(
        root, models=["smollm2"], datasets=["boolq", "obqa"], recipes=["lora_wide"], shifts={"boolq": ["boolq_closed"]}
    )

    def specs() -> dict[str, str]:
        jobs = Jobs(study(root))
        wildcards = {
            d: SimpleNamespace(model="smollm2", dataset=d, recipe="lora_wide", seed=0) for d in ("boolq", "obqa")
        }
        return {dataset: jobs.extract.spec(w) for dataset, w in wildcards.items()}

    asked = specs()
    assert '"labels":["true","false"]' in asked["boolq"] and '"labels":["A","B"' in asked["obqa"]
    assert Jobs(study(root)).list_cells.cells["recipes"]["lora_wide"]["prompts"] == {"boolq": "mixlora_boolq"}
    prompt = root / "prompts/mixlora.yaml"
    prompt.write_text(prompt.read_text().replace("datasets: {boolq: mixlora_boolq,", "datasets: {"))
    without = specs()
    assert without["boolq"] != asked["boolq"] and without["obqa"] == asked["obqa"]
    assert "prompts" not in Jobs(study(root)).list_cells.cells["recipes"]["lora_wide"]


WEB = {
    "version": 1,
    "kind": "classification",
    "title": "w",
    "origin": "w",
    "licence": "w",
    "labelled": False,
    "row": {"text": "{text}"},
    "splits": {"test": ["test"]},
    "sources": {"hub": {"fetch": {"repo": "a/b", "files": ["*"]}, "files": {"test": "*.csv"}}},
}


def test_a_set_without_labels_is_a_shift_of_any_classification(root):
    write(root / "datasets/web.yaml", WEB)
    suite(root, datasets=["snippets2", "sst5"], shifts={"sst5": ["web"], "snippets2": ["web"]})
    found = study(root)
    assert found.evals(Setting("minilm", "sst5", "lora_demo")) == ["test", "web"]
    assert found.preparation("web").classes == []


@pytest.mark.parametrize("content, grid, message", [
    (WEB, {"datasets": ["web"], "shifts": {}}, r"datasets: web has no labels to train on: list it under shifts"),
    ({**WEB, "labelled": True, "classes": ["a", "b"]}, {}, r"row: needs either 'label' or 'rating', or labelled"),
    ({**WEB, "row": {**WEB["row"], "label": {"column": "l"}}}, {}, r"'row' has a label or rating: remove either"),
    ({**WEB, "splits": {"train": ["train"], "valid": {"share": 0.5}, "test": ["test"]}, "sources": {"hub": {
        **WEB["sources"]["hub"], "files": {"train": "t.csv", "test": "*.csv"}}}}, {}, r"nothing to train on"),
    ({**WEB, "kind": "choice", "question": "why?"}, {}, r"classes: is missing"),
    ({**WEB, "classes": ["a", "b"]}, {}, r"web does not share the kind and classes"),
    (WEB, {"shifts": {"snippets2": ["web_choice"]}}, r"has no 'classes' to choose from"),
])  # fmt: skip
def test_mistakes_about_labels(root, content, grid, message):
    write(root / "datasets/web.yaml", content)
    suite(root, **{"shifts": {"snippets2": ["web"]}, **grid})
    with pytest.raises(UserError, match=message) as raised:
        study(root)
    assert "\n" not in str(raised.value)


def test_specs_hold_what_a_job_uses_and_nothing_else(root):
    class Wildcards:
        model, dataset, recipe, seed, predictive, score = "minilm", "snippets2", "lora_demo", "0", "point", "softmax"

    before = Jobs(study(root))
    after = Jobs(study(root, methods={"mahalanobis": {"inverse": "shrinkage"}}, bootstrap=10))
    assert before.train.spec(Wildcards) == after.train.spec(Wildcards)
    assert before.fit_scores.spec(Wildcards) == after.fit_scores.spec(Wildcards)
    Wildcards.score = "mahalanobis"
    assert before.fit_scores.spec(Wildcards) != after.fit_scores.spec(Wildcards)


def test_more_seeds_or_members_change_no_training(root):
    class Wildcards:
        model, dataset, recipe, seed = "minilm", "snippets2", "lora_demo", "1"

    before = Jobs(study(root))
    suite(root, seeds=6, predictives=["point", "ensemble-6"])
    after = Jobs(study(root))
    assert before.train.spec(Wildcards) == after.train.spec(Wildcards)
    assert len(after.study.adapters) == 6 and len(before.study.adapters) == 2


def test_a_sweep_is_a_recipe_a_value_and_shares_what_it_extends(root):
    sweep = {"extends": "lora_demo", "sweep": {"key": "optimiser.lr", "values": [0.001, 0.003, 1]}}
    write(root / "recipes/rates.yaml", sweep)
    suite(root, recipes=["rates", "lora_demo"])
    found = study(root)
    recipes = [setting.recipe for setting in found.settings]
    assert recipes == ["rates.0.001", "lora_demo", "rates.1"]
    assert [found.recipes.get(name, "", "").optimiser.lr for name in recipes] == [0.001, 0.003, 1]
    without = Jobs(found).train.spec(wildcards("lora_demo"))
    write(root / "recipes/rates.yaml", {**sweep, "sweep": {"key": "optimiser.lr", "values": [0.02]}})
    after = Jobs(study(root))
    assert after.train.spec(wildcards("lora_demo")) == without  # another value of the sweep reruns only its own


def wildcards(recipe: str):
    return type("Wildcards", (), {"model": "minilm", "dataset": "snippets2", "recipe": recipe, "seed": "0"})


def test_mixtures_have_their_own_rule_and_code_and_flu_only_there(root):
    suite(root, recipes=["lora_demo", "uq4ct_demo"], scores=["softmax", "flu"], predictives=["point"])
    jobs = Jobs(study(root))
    assert [jobs.train.rule_of(name) for name in ("lora_demo", "uq4ct_demo")] == ["train_lora", "train_mixlora"]
    assert jobs.train.recipes("train_mixlora") == "uq4ct_demo"
    code = jobs.train.code
    assert code(wildcards("lora_demo")) != code(wildcards("uq4ct_demo"))
    assert [scores for cell, scores in jobs.study.cells.items() if cell.seed == 0] == [["softmax"], ["softmax", "flu"]]


def test_prepared_limits_belong_to_what_is_trained_on(root):
    suite(root, shifts={"snippets2": ["tweets2"]})
    found = study(root, limit={"train": 50, "test": 20, "shift": 7})
    assert found.preparation("snippets2").limit == {"train": 50, "test": 20}
    assert found.preparation("tweets2").limit == {"test": 7}
    assert found.evals(Setting("minilm", "snippets2", "lora_demo")) == ["test", "tweets2"]


def test_the_grid_loads_no_heavy_library():
    heavy = {"torch", "pandas", "sklearn", "scipy", "pyarrow"}
    code = f"import sys; import peftuq.jobs.jobs; print({heavy} & set(sys.modules))"
    source = str(CONFIG.parent / "src")
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONPATH": source})
    assert printed.stdout.strip() == "set()", printed.stderr


def test_paper_configuration_is_valid():
    paper = yaml.safe_load((CONFIG / "paper.yaml").read_text())
    found = Study(paper, CONFIG)
    assert {(s.model, s.dataset) for s in found.settings if s.recipe == "lora"} >= {
        (model, dataset)
        for model in ("electra", "roberta", "llama2_7b", "qwen2.5_7b")
        for dataset in ("cola", "newsgroups", "sst2", "sst5", "toxigen")
    }


def test_a_local_folder_is_fetched_and_its_wanted_files_are_watched(root, tmp_path):
    folder = tmp_path / "data" / "sst2"
    folder.mkdir(parents=True)
    for name in ("train.jsonl", "validation.jsonl", "notes.txt"):
        (folder / name).write_text("")
    suite(root, datasets=["sst2"])
    jobs = Jobs(study(root, sources=["local", "registry"], local_root=str(folder.parent)))
    (key,) = jobs.fetch_data.sources
    w = SimpleNamespace(dataset="sst2", source=key)
    assert jobs.fetch_data.inputs(w) == [str(folder / name) for name in ("train.jsonl", "validation.jsonl")]
    assert jobs.prepare_data.source(w) == f"results/sources/{key}/provenance.json"
    published = Jobs(study(root, sources=["hub", "registry"]))
    assert all(published.fetch_data.inputs(SimpleNamespace(source=key)) == [] for key in published.fetch_data.sources)


def test_training_is_cut_shorter_only_where_a_recipe_says_so():
    jobs = Jobs(Study({"suites": ["uq4ct", "adue"], "sources": ["hub", "registry"]}, CONFIG))
    w = SimpleNamespace(model="llama2_7b", dataset="obqa", recipe="uq4ct", seed="0")
    trained, extracted = (json.loads(rule.spec(w)) for rule in (jobs.train, jobs.extract))
    assert trained["recipe"]["train_max_length"] == 512
    assert trained["task"]["max_length"] == extracted["task"]["max_length"] == 1536  # what validates, and is evaluated
    recipe = jobs.context.recipe("uq4ct")
    assert [recipe.cutoff(limit) for limit in (1536, 512, 256)] == [512, 512, 256]
    plain = SimpleNamespace(model="roberta", dataset="cola", recipe="lora", seed="0")
    assert "train_max_length" not in jobs.train.spec(plain)
    assert jobs.context.recipe("lora").cutoff(256) == 256


def test_a_cutoff_of_training_beyond_the_inputs_is_refused(root):
    write(root / "recipes/short.yaml", {"extends": "lora_demo", "max_length": 100, "train_max_length": 200})
    suite(root, recipes=["short"])
    with pytest.raises(UserError, match=r"short\.yaml: train_max_length: must be at most max_length"):
        study(root)
