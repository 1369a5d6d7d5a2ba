"""Tiny adapters of every kind with a posterior, and models around them."""

import copy
from types import ModuleType
from typing import Any

import torch
from recipes import recipe
from tiny import DECODERS, ENCODERS, build

from peftuq.adapters import blob, dalora, ivon, scalabl, swag
from peftuq.adapters.protocol import NOTHING, terms
from peftuq.config.recipe import Recipe
from peftuq.models.readout import ReadOut
from peftuq.training.assemble import assemble

KINDS: dict[str, ModuleType] = {"blob": blob, "scalabl": scalabl, "dalora": dalora, "swag": swag, "ivon": ivon}
SMALL = {"swag": {"snapshots": 3, "rank": 2, "start": 0.4}, "ivon": {"ess": 1e4, "hessian": 0.1, "clip": 1.0}}
ROLES = {"q": "query", "v": "value"}
DECODER = {role: f"{role}_proj" for role in ("q", "v", "gate", "up", "down")}


def posterior_recipe(name: str, params: dict[str, Any] = {}, **changes: Any) -> Recipe:
    section = {name: {**KINDS[name].KIND.params, **SMALL.get(name, {}), **params}}
    adapter = {"dropout": 0.0, **section, **changes.pop("adapter", {})}
    return recipe(adapter=adapter, optimiser={"lr": 0.01, **changes.pop("optimiser", {})}, **changes)


def read_out(name: str, how: Recipe, task: str = "classification") -> ReadOut:
    config = copy.deepcopy(ENCODERS["bert"] if task == "classification" else DECODERS["llama"])
    modules = ROLES if task == "classification" else DECODER
    config.hidden_dropout_prob = config.attention_probs_dropout_prob = 0.0
    hf = build(config, task)
    torch.manual_seed(0)
    return assemble(hf, KINDS[name], how, modules, task, None if task == "classification" else [50, 51, 52])


def job_terms(name: str, model: ReadOut, how: Recipe, examples: int):
    found = terms(KINDS[name], model, how, examples)
    assert found is not NOTHING
    return found
