"""The real datasets, where local copies of them exist: the sizes the papers report, and nothing shared."""

import itertools
from pathlib import Path

import numpy as np
import pytest

from peftuq.config import load
from peftuq.data import tasks
from peftuq.data.schema import Datasets

CONFIG = Path(__file__).parents[3] / "config"
DATASETS = Datasets(load.datasets(CONFIG))

SIZES = {
    "sst2": (53879, 13470, 872),
    "sst5": (6835, 1709, 2210),
    "cola": (6840, 1711, 1043),
    "newsgroups": (9051, 2263, 7532),
    "toxigen": (6416, 1604, 940),  # the local copy lacks the official test: 7168/1792/940 from the hub
    "csqa": (8766, 975, 1221),
    "obqa": (4957, 500, 500),
    "arc_easy": (2251, 570, 2376),
    "arc_challenge": (1119, 299, 1172),
    "boolq": (8484, 943, 3270),
    "boolq_closed": (8484, 943, 3270),
    "mmlu_stem": (335, 95, 3153),
    "mmlu_social": (337, 60, 3077),
    "mmlu_cs": (0, 0, 412),
    "mmlu_eng": (0, 0, 145),
    "mmlu_law": (0, 0, 1763),
    "mmlu_health": (0, 0, 1540),
}


def prepare(shared: Path, name: str, row: dict = {}) -> dict:
    dataset = DATASETS.get(name, "test")
    spec = dataset.preparation(name, "local", {}).model_dump()
    folder = shared / "data" / dataset.sources.local.folder
    return tasks.prepare({**spec, "row": {**spec["row"], **row}}, folder)[0]


@pytest.mark.parametrize("name", SIZES)
def test_sizes_are_the_papers_and_no_example_is_in_two_parts(shared, name):
    # Stripping 19k newsgroup posts takes ten seconds and drops none: their number is known without.
    parts = prepare(shared, name, {"clean": []} if name == "newsgroups" else {})
    assert tuple(len(part["id"]) for part in parts.values()) == SIZES[name]
    for part in parts.values():
        assert len(set(part["id"].tolist())) == len(part["id"])
    for one, other in itertools.combinations(parts.values(), 2):
        assert not set(one["id"].tolist()) & set(other["id"].tolist())


def test_toxigen_from_the_hub_has_the_papers_sizes():
    spec = DATASETS.get("toxigen", "test").preparation("toxigen", "hub", {})
    official = {"train": 8960, "test": 940}
    valid = int(np.ceil(spec.splits.valid.share * official["train"]))
    assert (official[spec.splits.train[0]] - valid, valid, official[spec.splits.test[0]]) == (7168, 1792, 940)


def test_known_examples_have_their_known_answers(shared):
    obqa, boolq = prepare(shared, "obqa")["train"], prepare(shared, "boolq")["test"]
    assert obqa["question"][0] == "The sun is responsible for"
    assert obqa["options"][0][obqa["label"][0]] == "plants sprouting, blooming and wilting"
    assert boolq["question"][0] == "does ethanol take more energy make that produces?"
    assert boolq["options"][0][boolq["label"][0]] == "no" and boolq["context"][0].startswith("Ethanol fuel -- ")
    closed = prepare(shared, "boolq_closed")["test"]
    assert closed["question"] == boolq["question"] and set(closed["context"]) == {""}
    sst2 = prepare(shared, "sst2_choice")["test"]
    assert sst2["context"][0] == "it 's a charming and often affecting journey ."
    assert sst2["options"][0][sst2["label"][0]] == "positive"


def test_questions_with_three_and_five_options_keep_them(shared):
    parts = prepare(shared, "arc_easy")
    assert {len(options) for part in parts.values() for options in part["options"]} == {3, 4, 5}


# -- what a plan counts with -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", SIZES)
def test_planned_sizes_are_the_prepared_ones(name):
    dataset = DATASETS.get(name, "test")
    sizes = dataset.preparation(name, "local", {}).splits.sizes(dataset.size.rows)
    assert tuple(sizes[part] for part in ("train", "valid", "test")) == SIZES[name]


def test_planned_sizes_from_the_hub_are_the_papers():
    dataset = DATASETS.get("toxigen", "test")
    assert dataset.splits.sizes(dataset.size.rows) == {"train": 7168, "valid": 1792, "test": 940}
