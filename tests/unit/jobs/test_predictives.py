"""Predictives around an adapter: which rule makes them, what their jobs see, what a posterior's memory is."""

import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from peftuq.cells import Adapter
from peftuq.config.study import Study
from peftuq.errors import UserError
from peftuq.jobs.jobs import Jobs
from peftuq.planning import plan

CONFIG = Path(__file__).parents[3] / "config"
GRID = {
    "models": ["minilm"],
    "datasets": ["snippets2"],
    "recipes": ["lora_demo"],
    "seeds": 2,
    "shifts": {"snippets2": ["tweets2"]},
    "predictives": ["point", "temperature", "mc_dropout-10", "laplace", "laplace_probit", "laplace_valid", "spuq-5"],
    "scores": ["softmax", "information"],
}


@pytest.fixture
def root(tmp_path):
    shutil.copytree(CONFIG, tmp_path / "config")
    return tmp_path / "config"


def jobs(root: Path, config: dict | None = None, **grid) -> Jobs:
    suite = {"version": 1, "title": "s", "sections": ["uq4ct"], "grids": [{**GRID, **grid}]}
    (root / "suites/small.yaml").write_text(yaml.safe_dump(suite))
    return Jobs(Study({"suites": ["small"], "sources": ["registry", "hub"], **(config or {})}, root))


def wildcards(predictive: str) -> SimpleNamespace:
    return SimpleNamespace(model="minilm", dataset="snippets2", recipe="lora_demo", seed="1", predictive=predictive)


def test_every_predictive_is_made_by_exactly_one_rule(root):
    found = jobs(root)
    for key in GRID["predictives"][1:]:
        made = {rule: getattr(found, rule).predictives for rule in ("predict_from_records", "predict_with_model")}
        rules = [rule for rule, predictives in made.items() if re.fullmatch(predictives, key)]
        assert rules == ["predict_with_model" if key in ("mc_dropout-10", "spuq-5") else "predict_from_records"]
    alone = jobs(root, predictives=["point"], scores=["softmax"])
    assert not re.fullmatch(alone.predict_with_model.predictives, "spuq-5")
    counts = plan.jobs_per_rule(found)
    assert (counts["fit_laplace"], counts["predict_from_records"], counts["predict_with_model"]) == (2, 8, 4)


def test_one_fit_serves_three_predictives_and_reads_the_training_set(root):
    found = jobs(root)
    inputs = {
        tuple(found.predict_from_records.inputs(wildcards(key)))
        for key in ("laplace", "laplace_probit", "laplace_valid")
    }
    assert inputs == {("results/laplace/minilm/snippets2/lora_demo/seed1.safetensors",)}
    fit = found.fit_laplace.inputs(wildcards("laplace"))
    assert fit["train"].endswith("snippets2/train.parquet")
    files = [Path(fit[name]).name for name in ("adapter", "adapter_config")]
    assert files == ["adapter_model.safetensors", "adapter_config.json"]
    assert [Path(path).parts[-2:] for path in fit["data"]] == [
        ("snippets2", "valid.parquet"), ("snippets2", "test.parquet"), ("tweets2", "test.parquet"),
    ]  # fmt: skip
    assert found.predict_with_model.inputs(wildcards("spuq-5"))["data"] == fit["data"]


def test_a_predictive_that_searches_on_train_gets_it_and_no_other_does(root):
    found = jobs(root, predictives=["tfb-5", "spuq-5"])
    inputs = found.predict_with_model.inputs(wildcards("tfb-5"))
    assert inputs["train"] == found.fit_laplace.inputs(wildcards("laplace"))["train"]
    assert inputs["data"] == found.predict_with_model.inputs(wildcards("spuq-5"))["data"]
    assert "train" not in found.predict_with_model.inputs(wildcards("spuq-5"))


def test_only_parameters_of_the_fit_fit_again(root):
    before, w = jobs(root), wildcards("laplace")
    more = jobs(root, {"methods": {"laplace": {"draws": 1000}}})
    assert before.fit_laplace.spec(w) == more.fit_laplace.spec(w)
    assert before.predict_from_records.spec(w) != more.predict_from_records.spec(w)
    probit = wildcards("laplace_probit")
    rank = jobs(root, {"methods": {"laplace": {"rank": 20}}})
    assert before.fit_laplace.spec(w) != rank.fit_laplace.spec(w)
    assert before.predict_from_records.spec(probit) == rank.predict_from_records.spec(probit)


def test_the_untuned_model_can_be_prompted_in_other_words(root):
    found = jobs(root, models=["smollm2"], datasets=["snippets2_choice"], recipes=["base"], shifts={},
                 predictives=["spuq-5"], scores=["softmax"])  # fmt: skip
    w = SimpleNamespace(model="smollm2", dataset="snippets2_choice", recipe="base", seed="0", predictive="spuq-5")
    assert "adapter" not in found.predict_with_model.inputs(w)


@pytest.mark.parametrize("change, message", [
    ({"predictives": ["laplace"], "recipes": ["uq4ct_demo"]}, r"laplace needs a plain LoRA.*uq4ct_demo.*mixlora"),
    ({"predictives": ["mc_dropout-3"], "recipes": ["mixlora_demo"]}, r"mc_dropout needs a plain LoRA adapter"),
    ({"predictives": ["laplace"], "recipes": ["base"]}, r"laplace needs a plain LoRA adapter; .*base\.yaml is none"),
    ({"predictives": ["mc_dropout-3"], "recipes": ["lora_map"]}, r"mc_dropout needs adapter\.dropout above 0 in"),
    ({"predictives": ["posterior_samples-3"], "recipes": ["lora_demo"]},
     r"posterior_samples needs an adapter with a posterior; give .*lora_demo\.yaml one of adapter\.blob, adapter\."),
    ({"predictives": ["posterior_samples-3"], "recipes": ["base"]}, r"needs an adapter with a posterior; .*base\."),
    ({"predictives": ["tfb-3"], "recipes": ["scalabl"]}, r"tfb needs a plain LoRA adapter; .* of the kind scalabl"),
])  # fmt: skip
def test_a_predictive_that_an_adapter_cannot_have_is_refused_before_any_job(root, change, message):
    with pytest.raises(UserError, match=message) as raised:
        jobs(root, scores=["softmax"], **change)
    assert "\n" not in str(raised.value)


def test_records_have_the_training_set_where_a_predictive_is_fitted_on_it(root):
    adapter = Adapter("minilm", "snippets2", "lora_demo", 1)
    for predictives, found in ((["vbll"], True), (["point", "sngp"], True), (["point", "temperature"], False)):
        parts = jobs(root, predictives=predictives, scores=["softmax"]).extract.parts(adapter)
        assert ("train" in parts) == found


def test_an_ensemble_of_posteriors_reads_its_members_samples_which_the_grid_must_have(root):
    config = {"methods": {"posterior_ensemble": {"of": "posterior_samples-5"}}}
    grid = {"recipes": ["protocol_demo_encoder_swag"], "seeds": 2, "scores": ["softmax"]}
    found = jobs(root, config, **grid, predictives=["point", "posterior_samples-5", "posterior_ensemble-2"])
    asked = wildcards("posterior_ensemble-2")
    asked.recipe, asked.seed = "protocol_demo_encoder_swag", "0"
    paths = found.predict_from_records.inputs(asked)
    assert len(paths) == 2 and all(f"seed{n}/posterior_samples-5" in path for n, path in enumerate(paths))
    assert plan.jobs_per_rule(found)["predict_from_records"] == 1
    with pytest.raises(UserError, match=r"posterior_ensemble pools the samples of posterior_samples-10: add that"):
        jobs(root, **grid, predictives=["point", "posterior_samples-5", "posterior_ensemble-2"])
