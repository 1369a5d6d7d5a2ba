"""Recipes and tasks of small jobs, as the models that the library takes."""

from typing import Any

from peftuq.config.load import merge
from peftuq.config.recipe import Adapter, Recipe
from peftuq.data.prompts import Template
from peftuq.specs.task import Task

ADAPTER = {"targets": ["q", "v"], "rank": 2, "alpha": 4, "dropout": 0.1}
MIXTURE = {"experts": 4, "top_k": 2, "experts_at": ["ffn"]}
RECIPE = {
    "version": 1,
    "adapter": ADAPTER,
    "optimiser": {"lr": 0.01, "weight_decay": 0.1, "batch_size": 4, "epochs": 3, "warmup": 0.1},
    "checkpoint_steps": 2,
}
PROMPT = {"version": 1, "title": "shown", "option": "{text}", "answers": ["{label}"], "labels": list("ABCD")}
PROMPT |= {"prompt": "{passage}{question}\n{options}\nAnswer:"}
HIDDEN = {**PROMPT, "prompt": "{passage}True or false: {question}\nAnswer:", "option": "", "labels": ["true", "false"]}


def adapter(**changes: Any) -> Adapter:
    """LoRA of rank 2 on q and v with `changes`, merged key by key; a `mixture` need not be complete."""
    return Adapter.model_validate(_complete(merge(ADAPTER, changes)))


def recipe(**changes: Any) -> Recipe:
    """Three epochs of batches of 4 with `changes`, merged key by key; a `mixture` need not be complete."""
    content = merge(RECIPE, changes)
    return Recipe.model_validate({**content, "adapter": content["adapter"] and _complete(content["adapter"])})


def _complete(adapter: dict[str, Any]) -> dict[str, Any]:
    """All parameters of a mixture, as the configuration fills them in when it is read."""
    return {**adapter, "mixture": {**MIXTURE, **adapter["mixture"]}} if adapter.get("mixture") is not None else adapter


def task(kind: str, prompt: dict[str, Any] = PROMPT, **changes: Any) -> Task:
    """Four classes, inputs of 16 tokens, in float32."""
    sizes = {"classes": list("abcd"), "max_length": 16, "precision": "fp32", "batch_tokens": 128}
    shown = Template.model_validate(prompt) if kind == "choice" else None
    return Task.model_validate({"kind": kind, "prompt": shown, **sizes, **changes})
