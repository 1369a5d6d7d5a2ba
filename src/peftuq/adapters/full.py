"""Fine-tuning of whole weights: of every target, its matrix and bias, without an adapter's structure.

Through PEFT's `LNTuningConfig`, which trains and saves a copy of any layer that it is given, not of norms alone: the
frozen weights stay beside it, so that this is for small models. With all of a model's roles as `targets` all that its
blocks multiply with is trained; embeddings, norms and an LM head stay as they are.
"""

from collections.abc import Mapping
from pathlib import Path

from peft import LNTuningConfig, PeftModel
from peft.tuners.ln_tuning.layer import LNTuningLayer
from torch import Tensor
from transformers import PreTrainedModel

from peftuq.adapters import peft_lora
from peftuq.adapters.lora import extra_loss, read_out
from peftuq.config.recipe import Adapter
from peftuq.plugins import AdapterKind
from peftuq.specs.task import Kind

__all__ = ["KIND", "attach", "extra_loss", "load", "read_out"]

KIND = AdapterKind(section="full", low_rank=False)


def attach(model: PreTrainedModel, modules: Mapping[str, str], adapter: Adapter, kind: Kind) -> PeftModel:
    """Freeze the backbone and add trained copies of its targets and, for classification, a head, all float32."""
    where = peft_lora.target_pattern(model, modules, adapter)
    return _in_float32(peft_lora.wrap(model, kind, LNTuningConfig, adapter, target_modules=where))


def _in_float32(peft: PeftModel) -> PeftModel:
    """PEFT copies a layer in the backbone's type."""
    for module in peft.modules():
        if isinstance(module, LNTuningLayer):
            module.ln_tuning_layers.float()
    return peft


def load(model: PreTrainedModel, folder: str | Path) -> PeftModel:
    """The saved weights beside their backbone's, in evaluation mode, float32 as they were saved."""

    def extend(peft: PeftModel, tensors: Mapping[str, Tensor]) -> None:
        _in_float32(peft)

    return peft_lora.load(model, folder, extend)
