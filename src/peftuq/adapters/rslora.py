"""Rank-stabilised LoRA (Kalajdzievski 2023): LoRA whose update is scaled by α/√r in place of α/r."""

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

KIND = AdapterKind(section="rslora", provides=["lora"], takes=["prior", "lm_head"])


def attach(model: PreTrainedModel, modules: Mapping[str, str], adapter: Adapter, kind: Kind) -> PeftModel:
    """As LoRA's, with PEFT's own scale."""
    where = target_pattern(model, modules, adapter)
    return wrap(model, kind, partial(LoraConfig, use_rslora=True), adapter, target_modules=where)
