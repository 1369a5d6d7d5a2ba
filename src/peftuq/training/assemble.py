"""From a backbone to the model that is trained."""

from collections.abc import Mapping

from torch import nn
from transformers import PreTrainedModel

from peftuq.adapters.peft_lora import trainable
from peftuq.adapters.protocol import AdapterModule
from peftuq.config.recipe import Recipe
from peftuq.errors import UserError
from peftuq.models.readout import ReadOut, head_modules
from peftuq.specs.task import Kind


def assemble(
    hf: PreTrainedModel,
    adapters: AdapterModule,
    recipe: Recipe,
    modules: Mapping[str, str],
    kind: Kind,
    answer_tokens: list[int] | None,
) -> ReadOut:
    """The read-out of `hf` with a fresh adapter; its `model` is PEFT's. Draws from torch's global generator.

    `adapters`: the module of the recipe's kind of adapter; `modules`: names of linear layers by role; `kind`: of the
    task; `answer_tokens`: of a choice task. Raises `UserError` for what the recipe asks and the architecture lacks.
    """
    assert recipe.adapter is not None
    peft = adapters.attach(hf, modules, recipe.adapter, kind)
    head = set(head_modules(hf)) if kind == "classification" else set()
    trained = trainable(peft) if isinstance(peft, nn.Module) else {}
    if all(head & set(name.split(".")) for name in trained):
        name = getattr(adapters, "__name__", adapters)
        raise UserError(f"{name}: attach(…) must return the model with an adapter that trains; nothing of it but a "
                        "head requires gradients")  # fmt: skip
    if recipe.gradient_checkpointing:
        if not hf.supports_gradient_checkpointing:
            raise UserError(
                f"recipe: gradient_checkpointing: true, but {type(hf).__name__} cannot: set it to false, and lower "
                "micro_batch_tokens if memory is short"
            )
        hf.gradient_checkpointing_enable({"use_reentrant": False})
    model = adapters.read_out(peft, hf, answer_tokens, recipe.loss)
    if recipe.spectral_norm == "train":
        model.normalise_head()
    return model
