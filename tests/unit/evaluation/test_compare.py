"""Scores in pairs: nothing left out by its name, only seeds that both have."""

import numpy as np
import pytest

from peftuq.artifacts import Scores
from peftuq.evaluation import compare
from peftuq.metrics.detection import auroc

N = 60


def scores(seed: int, *variants: str, wrong: bool = True) -> Scores:
    rng = np.random.default_rng(seed)
    error = (np.arange(2 * N) % 3 == 0) & wrong
    parts = np.array(["test"] * N + ["shift"] * N)
    return Scores(parts, np.arange(2 * N), error, {v: rng.normal(size=2 * N) + error for v in variants}, {})


def pairs(found: dict) -> dict[tuple[str, str], dict]:
    return {(row["method"], row["other"]): row for row in found["differences"]}


def test_every_two_scores_are_compared_whatever_their_names():
    scored = [
        ("point", 0, scores(0, "adue", "fluency")),
        ("ensemble-5", 0, scores(1, "mutual_information", "flu_mean")),
    ]
    found = compare.pairwise(scored, ["test", "shift"], 20)
    names = ["point/adue", "point/fluency", "ensemble-5/mutual_information", "ensemble-5/flu_mean"]
    assert list(found) == ["test", "shift"]
    for part in found.values():
        assert list(part["auroc"]) == names
        assert set(pairs(part)) == {(a, b) for i, a in enumerate(names) for b in names[i + 1 :]}


def test_a_difference_is_over_the_seeds_that_both_have():
    of_seed = {seed: scores(seed, "a") for seed in range(4)}
    others = {seed: scores(10 + seed, "b") for seed in (1, 3, 5)}
    scored = [("point", s, x) for s, x in of_seed.items()] + [("point", s, x) for s, x in others.items()]
    found = compare.pairwise(scored, ["test"], 20)["test"]
    row = pairs(found)["point/a", "point/b"]
    assert list(row["seeds"]) == [1, 3]
    parts = [(of_seed[s].on("test"), others[s].on("test")) for s in (1, 3)]
    expected = [auroc(a.variants["a"], a.error) - auroc(b.variants["b"], b.error) for a, b in parts]
    assert row["estimate"] == pytest.approx(np.mean(expected))
    assert list(found["auroc"]["point/a"]) == ["0", "1", "2", "3"]


def test_without_a_common_seed_there_is_no_difference():
    scored = [("point", 0, scores(0, "a")), ("point", 1, scores(1, "b"))]
    assert compare.pairwise(scored, ["test"], 20)["test"]["differences"] == []


def test_an_undefined_auroc_is_none():
    scored = [("point", 0, scores(0, "a", wrong=False)), ("point", 0, scores(1, "b"))]
    found = compare.pairwise(scored, ["test"], 20)["test"]
    assert found["auroc"]["point/a"] == {"0": None}
    assert found["differences"] == []
    assert compare.pairwise([], ["test"], 20)["test"] == {"auroc": {}, "differences": []}
