"""Kinds of adapters, by the section that a recipe has."""

from types import SimpleNamespace

import pytest

from peftuq.cells import Setting
from peftuq.report.adapters import kind
from peftuq.report.disagreement.factors import of_recipes
from peftuq.report.uq4ct.recipes import is_plain

LORA = {"targets": ["q", "v"], "rank": 8, "alpha": 16, "dropout": 0.0, "top_layers": None}
ADAPTERS = {
    "lora": LORA,
    "dora": {**LORA, "dora": {}},  # a section may be empty
    "blob": {**LORA, "blob": {"prior_std": 0.2}},
    "ia3": {"targets": ["k"], "rank": None, "alpha": None, "dropout": None, "top_layers": None, "ia3": {}},
    "untuned": None,
}


@pytest.mark.parametrize("name", ADAPTERS)
def test_the_kind_of_a_recipe(name):
    recipe = {"adapter": ADAPTERS[name]}
    assert kind(recipe) == name
    assert is_plain(recipe) == (name == "lora")


@pytest.mark.parametrize("targets", [["q", "v"], ["q", "v", "lm_head"]])
def test_another_kind_is_no_single_factor(targets):
    one, other = Setting("m", "d", "one"), Setting("m", "d", "other")
    lora = {"adapter": {**LORA, "targets": targets}}
    assert (
        of_recipes(SimpleNamespace(recipes={"one": lora, "other": {"adapter": ADAPTERS["dora"]}}), one, other) is None
    )
    found = of_recipes(SimpleNamespace(recipes={"one": lora, "other": {"adapter": LORA}}), one, other)
    assert found == (("LM head", "adapted → frozen") if "lm_head" in targets else None)
