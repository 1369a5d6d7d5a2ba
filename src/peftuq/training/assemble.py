"""From a backbone to the model that is trained."""

from types import ModuleType
from typing import Any

from transformers import PreTrainedModel

from peftuq.models.readout import ReadOut


def assemble(
    hf: PreTrainedModel, adapters: ModuleType, spec: dict[str, Any], answer_tokens: list[int] | None
) -> ReadOut:
    """The read-out of `hf` with a fresh adapter, as the training job's `spec` has it; its `model` is PEFT's.

    `adapters`: the module of `peftuq.adapters` for the recipe's kind. Draws from torch's global generator.
    """
    recipe = spec["recipe"]
    peft = adapters.attach(hf, spec["modules"], recipe["adapter"], spec["task"]["kind"])
    if recipe["gradient_checkpointing"]:
        hf.gradient_checkpointing_enable({"use_reentrant": False})
    model = adapters.read_out(peft, hf, answer_tokens, recipe["loss"])
    if recipe["spectral_norm"] == "train":
        model.normalise_head()
    return model
