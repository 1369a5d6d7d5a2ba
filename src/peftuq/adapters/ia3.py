"""(IA)³ (Liu et al. 2022, arXiv 2205.05638): trained factors, one a feature, through PEFT's `IA3Config`.

They scale a target's outputs, but the inputs of `down`, which are the activations inside an FFN. The paper's are those
of `targets: [k, v, down]`; they start at 1. There is no rank, α or dropout.
"""

from collections.abc import Mapping
from functools import partial

from peft import IA3Config, PeftModel
from transformers import PreTrainedModel

from peftuq.adapters.lora import extra_loss, read_out
from peftuq.adapters.peft_lora import load, target_pattern, wrap
from peftuq.config.recipe import Adapter
from peftuq.plugins import AdapterKind
from peftuq.specs.task import Kind

__all__ = ["KIND", "attach", "extra_loss", "load", "read_out"]

KIND = AdapterKind(section="ia3", low_rank=False)


def attach(model: PreTrainedModel, modules: Mapping[str, str], adapter: Adapter, kind: Kind) -> PeftModel:
    """Freeze the backbone and add factors of 1 and, for classification, a trainable head, all float32."""
    where = target_pattern(model, modules, adapter)
    inputs = "(?!)"  # a pattern of nothing
    if "down" in adapter.targets:
        inputs = target_pattern(model, modules, adapter.model_copy(update={"targets": ["down"]}))
    return wrap(model, kind, partial(IA3Config, feedforward_modules=inputs), adapter, target_modules=where)
