"""The model that is trained: what an architecture lacks is named before the training starts."""

import pytest
import recipes
from tiny import ENCODERS, ROLES, build

from peftuq.adapters import lora
from peftuq.errors import UserError
from peftuq.training.assemble import assemble


def assembled(architecture: str):
    recipe = recipes.recipe(gradient_checkpointing=True)
    model = build(ENCODERS[architecture], "classification")
    return assemble(model, lora, recipe, ROLES[architecture], "classification", None)


def test_gradient_checkpointing_of_an_architecture_without_it_is_a_users_error():
    with pytest.raises(UserError, match=r"gradient_checkpointing: true, but MPNetFor\w+ .*set it to false"):
        assembled("mpnet")
    assert assembled("bert").hf.base_model.is_gradient_checkpointing
