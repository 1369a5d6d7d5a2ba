"""LoRA layers of PEFT whose A is a module of a kind's own, in training as in a saved adapter."""

from functools import partial
from typing import Any

from peft import LoraConfig
from peft.tuners.lora import Linear as LoraLinear
from torch import nn


class FactorLinear(LoraLinear):
    """PEFT's layer with `factor(A)` in place of the linear layer A; it has A's `weight`, or one of that shape."""

    def update_layer(
        self, adapter_name: str, *arguments: Any, config: LoraConfig, factor: type[nn.Module], **named: Any
    ) -> None:
        super().update_layer(adapter_name, *arguments, config=config, **named)
        self.lora_A[adapter_name] = factor(self.lora_A[adapter_name])
        self.cast_input_dtype_enabled = False  # no copy of the input in float32: autocast converts it
        self.set_adapter(self.active_adapters, inference_mode=config.inference_mode)


def with_factor(config: LoraConfig, factor: type[nn.Module] | None) -> LoraConfig:
    """`config` for layers with such an A, as PEFT lets layers be registered; nothing of it is saved. None: PEFT's."""
    if factor is not None:
        config._register_custom_module({nn.Linear: partial(FactorLinear, factor=factor)})
    return config
