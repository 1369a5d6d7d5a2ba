"""DoRA (Liu et al. 2024): LoRA on a weight's directions, and a trained magnitude for each of its rows."""

from collections.abc import Mapping
from functools import partial

from peft import LoraConfig, PeftModel
from transformers import PreTrainedModel

from peftuq.adapters.lora import extra_loss, read_out
from peftuq.adapters.peft_lora import load, target_pattern, wrap
from peftuq.config.recipe import Adapter
from peftuq.plugins import AdapterKind
from peftuq.specs.task import Kind

__all__ = ["KIND", "attach", "extra_loss", "load", "read_out"]

KIND = AdapterKind(section="dora")


def attach(model: PreTrainedModel, modules: Mapping[str, str], adapter: Adapter, kind: Kind) -> PeftModel:
    """As LoRA's; a magnitude starts as its row's norm."""
    where = target_pattern(model, modules, adapter)
    return wrap(model, kind, partial(LoraConfig, use_dora=True), adapter, target_modules=where)
