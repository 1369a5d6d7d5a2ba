"""Splits: exact sizes, nothing shared, nothing lost, the same every time, small limits inside large ones."""

import hashlib
import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import train_test_split

from peftuq.data import splits
from peftuq.data.schema import Splits


def columns(n: int, official: str = "train") -> splits.Columns:
    rows = np.arange(n)
    return {"id": splits.ids(official, rows), "text": [f"{official} {i}" for i in rows], "label": rows % 3}


def digest(part: splits.Columns) -> str:
    return hashlib.sha256(part["id"].astype("<i8").tobytes()).hexdigest()[:12]


CARVED = Splits(train=["train"], valid={"share": 0.2}, test={"rows": 7})


@given(n=st.integers(20, 400))
def test_carving_loses_and_shares_nothing(n):
    parts = splits.split({"train": columns(n)}, CARVED)
    sizes = {name: len(part["id"]) for name, part in parts.items()}
    assert sizes == {"test": 7, "valid": math.ceil(0.2 * (n - 7)), "train": n - 7 - math.ceil(0.2 * (n - 7))}
    everything = np.concatenate([part["id"] for part in parts.values()])
    assert sorted(everything) == list(range(n))
    for part in parts.values():
        assert part["text"] == [f"train {i}" for i in part["id"]] and (part["label"] == part["id"] % 3).all()


@given(n=st.integers(2, 20_000), share=st.sampled_from([0.1, 0.2]))
def test_a_share_is_rounded_as_scikit_learn_does(n, share):
    ours = splits.split({"train": columns(n)}, Splits(train=["train"], valid={"share": share}, test={"rows": 1}))
    train, valid = train_test_split(np.arange(n - 1), test_size=share) if n > 2 else ([], [0])
    assert (len(ours["train"]["id"]), len(ours["valid"]["id"])) == (len(train), len(valid))


def test_official_splits_are_kept_as_they_are():
    official = {name: columns(5, name) for name in ("train", "dev", "validation", "test")}
    parts = splits.split(official, Splits(train=["validation", "train"], valid=["dev"], test=["test"]))
    assert parts["train"]["id"].tolist() == [10**9 + i for i in range(5)] + list(range(5))
    assert parts["train"]["text"][:2] == ["validation 0", "validation 1"]
    assert parts["valid"]["id"].tolist() == [3 * 10**9 + i for i in range(5)]
    assert parts["test"]["id"].tolist() == [2 * 10**9 + i for i in range(5)]


def test_sets_for_evaluation_only_have_empty_other_parts():
    parts = splits.split({"test": columns(5, "test")}, Splits(test=["test"]))
    assert [len(part["id"]) for part in parts.values()] == [0, 0, 5]
    assert [len(part["text"]) for part in parts.values()] == [0, 0, 5]


def test_the_carve_is_the_same_for_everyone_for_ever():
    parts = splits.split({"train": columns(1000)}, Splits(train=["train"], valid={"share": 0.2}, test={"rows": 100}))
    assert {name: digest(part) for name, part in parts.items()} == {
        "train": "26b2a0f50abe",
        "valid": "a5c7af402bf1",
        "test": "606e683ff4bd",
    }


@given(n=st.integers(1, 300), small=st.integers(1, 300), large=st.integers(1, 300))
def test_a_smaller_limit_is_inside_a_larger_one(n, small, large):
    small, large = sorted((small, large))
    few, many = (splits.limit(columns(n), "train", rows) for rows in (small, large))
    assert len(few["id"]) == min(small, n) and len(many["id"]) == min(large, n)
    assert set(few["id"]) <= set(many["id"])
    assert (np.diff(few["id"]) > 0).all() and few["text"] == [f"train {i}" for i in few["id"]]


def test_a_limit_is_a_random_choice_and_each_part_has_its_own():
    chosen = {part: splits.limit(columns(1000), part, 100)["id"] for part in ("train", "valid", "test")}
    assert all(400 < ids.mean() < 600 and ids.max() > 900 for ids in chosen.values())
    assert len({digest({"id": ids}) for ids in chosen.values()}) == 3
    assert len(splits.limit(columns(10), "train", None)["id"]) == 10


def test_fewer_training_rows_are_among_more_and_leave_the_other_parts_alone():
    official = {"train": columns(400), "validation": columns(9, "validation")}
    small, large, whole = (
        Splits(train=["train"], valid={"rows": 40}, test=["validation"], **({"train_rows": rows} if rows else {}))
        for rows in (30, 100, None)
    )
    parts = [splits.split(official, how) for how in (small, large, whole)]
    ids = [set(part["train"]["id"].tolist()) for part in parts]
    assert [len(found) for found in ids] == [30, 100, 360] and ids[0] < ids[1] < ids[2]
    assert all((part["valid"]["id"] == parts[2]["valid"]["id"]).all() for part in parts)
    assert [how.sizes({"train": 400, "validation": 9})["train"] for how in (small, large, whole)] == [30, 100, 360]
    assert "train_rows" not in whole.model_dump()  # the specs of sets without it stay what they were
