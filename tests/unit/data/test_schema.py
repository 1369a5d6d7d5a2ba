"""Dataset files: those that exist are valid, and each mistake in one is refused by name."""

import copy
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from peftuq.config import load
from peftuq.data.schema import Dataset, Datasets
from peftuq.errors import UserError

CONFIG = Path(__file__).parents[3] / "config"
NAMES = [file.stem for file in (CONFIG / "datasets").glob("*.yaml") if not file.stem.startswith("_")]
DATASETS = Datasets(load.datasets(CONFIG))

VALID = {
    "version": 1,
    "kind": "classification",
    "title": "Test",
    "origin": "nowhere",
    "licence": "none",
    "classes": ["bad", "good"],
    "row": {"text": "{text}", "label": {"column": "label"}},
    "splits": {"train": ["train"], "valid": {"share": 0.2}, "test": ["validation"]},
    "sources": {"local": {"folder": "x", "files": {"train": "train.*", "validation": "validation.*"}}},
}


def changed(path: str, value) -> dict:
    content = copy.deepcopy(VALID)
    *parents, last = path.split(".")
    place = content
    for key in parents:
        place = place[key]
    place[last] = value
    return content


@pytest.mark.parametrize("name", NAMES)
def test_every_dataset_file_is_valid(name):
    dataset = DATASETS.get(name, "test")
    for kind in dataset.sources.offered:
        assert dataset.preparation(name, kind, {}).row.text or dataset.kind == "choice"
    if dataset.kind == "classification":
        assert DATASETS.get(f"{name}_choice", "test").kind == "choice"


def test_every_dataset_of_the_papers_is_there():
    adue = {"sst2", "sst5", "cola", "newsgroups", "toxigen"}
    ensembles = {"csqa", "mmlu_stem", "mmlu_social"}
    uq4ct = {"obqa", "arc_easy", "arc_challenge", "boolq", "boolq_closed", "climateqa"}
    shifts = {"mmlu_cs", "mmlu_eng", "mmlu_law", "mmlu_health"}
    assert adue | ensembles | uq4ct | shifts <= set(NAMES)


def test_shifted_sets_share_the_classes_of_what_is_trained_on():
    for size in "25":
        trained = DATASETS.get(f"snippets{size}", "test").classes
        assert all(DATASETS.get(f"{name}{size}", "test").classes == trained for name in ("tweets", "amazon", "nyt"))


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("row.label", None, "either 'label' or 'rating'"),
        ("row.rating", {"sum": ["a"], "edges": [0]}, "either 'label' or 'rating'"),
        ("row.question", "{q}", "either 'text', or 'question' and 'options'"),
        ("row.text", "", "either 'text', or 'question' and 'options'"),
        (
            "row",
            {"question": "{q}", "options": "o", "label": {"column": "l"}},
            "classification dataset needs 'text'",
        ),
        ("row", {"text": "{t}", "rating": {"sum": ["a"], "edges": [0, 1]}}, "2 classes need 1 edges"),
        ("row.tetx", "{t}", "tetx"),
        ("classes", ["one"], "at least 2"),
        ("classes", ["same", "same"], "'same' is there twice"),
        ("splits.valid", {"share": 0.2, "rows": 3}, "either 'share' or 'rows'"),
        ("splits.valid", {}, "either 'share' or 'rows'"),
        ("splits.valid", {"share": 1.0}, "less than 1"),
        ("splits.valid", [], "'train' and 'valid' come together"),
        ("splits.valid", ["test"], "official test rows are for 'test' only"),
        ("splits.train", ["train", "test"], "official test rows are for 'test' only"),
        ("splits.valid", ["validation"], "one of train, valid and test only"),
        ("splits", {"test": {"rows": 3}}, "'test' is carved out of 'train', which is empty"),
        ("splits.test", ["test"], "sources.local.files: no files for the split 'test'"),
        ("splits.test", ["exam"], "exam"),
        ("sources", {}, "at least one of hub, registry, local"),
        ("sources.mirror", {}, "mirror"),
        ("sources.local.files", {}, "at least 1"),
        ("sources.hub", {"files": {"train": "t", "validation": "v"}}, "fetch"),
        ("version", 0, "greater than 0"),
    ],
)
def test_mistakes_are_refused(path, value, message):
    Dataset.model_validate(VALID)
    with pytest.raises(ValidationError, match=message):
        Dataset.model_validate(changed(path, value))


def test_a_source_may_differ_from_the_others():
    newsgroups, toxigen = DATASETS.get("newsgroups", "test"), DATASETS.get("toxigen", "test")
    # The hub's copy is stripped already: stripping it again would take the first paragraph of every post.
    assert newsgroups.preparation("newsgroups", "hub", {}).row.clean == []
    assert newsgroups.preparation("newsgroups", "local", {}).row.clean == ["headers", "footers", "quotes"]
    assert toxigen.preparation("toxigen", "hub", {}).splits.test == ["test"]
    assert toxigen.preparation("toxigen", "local", {}).splits.test.rows == 940
    assert "940 seeded rows" in toxigen.preparation("toxigen", "local", {}).note


def test_only_what_decides_the_examples_is_in_a_preparation():
    plain = Dataset.model_validate(VALID).preparation("x", "local", {})
    retitled = {**VALID, "title": "T", "licence": "L", "origin": "O", "question": "Q?"}
    assert Dataset.model_validate(retitled).preparation("x", "local", {}) == plain
    assert Dataset.model_validate({**VALID, "version": 2}).preparation("x", "local", {}) != plain


def test_unknown_and_impossible_names():
    with pytest.raises(UserError, match=r"here: unknown dataset 'ssst2' \(did you mean 'sst2'"):
        DATASETS.get("ssst2", "here")
    with pytest.raises(UserError, match="unknown dataset 'nothing'"):
        DATASETS.get("nothing_choice", "here")
    with pytest.raises(UserError, match="here: obqa is a choice dataset already: write 'obqa'"):
        DATASETS.get("obqa_choice", "here")


def test_a_dataset_without_a_question_cannot_be_asked():
    class Folder:
        names = ("x",)

        def get(self, name, what, where):
            return Dataset.model_validate(VALID)

    with pytest.raises(UserError, match=r"here: x_choice: config/datasets/x\.yaml has no 'question'"):
        Datasets(Folder()).get("x_choice", "here")


def test_the_schema_loads_nothing_heavy():
    heavy = "{'numpy', 'torch', 'pyarrow', 'pandas', 'sklearn', 'huggingface_hub', 'transformers'}"
    code = f"import sys, peftuq.data.schema, peftuq.data.prompts; print({heavy} & set(sys.modules))"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONPATH": ":".join(sys.path)}
    )
    assert result.stdout.strip() == "set()", result.stderr
