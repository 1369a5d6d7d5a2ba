"""MixLoRA as one of PEFT's tuners: finds the modules that its configuration names and replaces them."""

import re

from peft import LoraConfig
from peft.tuners.lora import Linear as LoraLinear
from peft.tuners.tuners_utils import BaseTuner, BaseTunerLayer
from torch import nn

from peftuq.adapters.mixlora.config import MixLoraConfig
from peftuq.adapters.mixlora.layers import UNMERGEABLE, ExpertFFN, ExpertLinear, RoutedLayer


class MixLoraModel(BaseTuner):
    """The tuner of `MixLoraConfig`. Merging raises `ValueError` unless all of its layers are plain LoRA."""

    prefix = "mixlora_"
    tuner_layer_cls = BaseTunerLayer  # routed layers and PEFT's own LoRA layers

    def _prepare_adapter_config(self, peft_config: MixLoraConfig, model_config: dict) -> MixLoraConfig:
        return peft_config

    @staticmethod
    def _check_target_module_exists(config: MixLoraConfig, key: str) -> bool:
        patterns = (config.ffn_modules, config.expert_modules, config.target_modules)
        return any(pattern is not None and re.fullmatch(pattern, key) for pattern in patterns)

    def _create_and_replace(
        self, config: MixLoraConfig, adapter: str, target: nn.Module, target_name: str, parent: nn.Module,
        current_key: str, parameter_name: str | None = None,
    ) -> None:  # fmt: skip
        if isinstance(target, RoutedLayer):
            target.update_layer(adapter, config)
            return
        lora = LoraConfig(r=config.r, lora_alpha=config.lora_alpha, lora_dropout=config.lora_dropout)
        if isinstance(target, LoraLinear):
            target.update_layer(adapter, config.r, config.lora_alpha, lora)
        elif config.ffn_modules is not None and re.fullmatch(config.ffn_modules, current_key):
            setattr(parent, target_name, ExpertFFN(target, adapter, config))
        elif config.expert_modules is not None and re.fullmatch(config.expert_modules, current_key):
            setattr(parent, target_name, ExpertLinear(target, adapter, config))
        else:
            setattr(parent, target_name, LoraLinear(target, adapter, lora, r=config.r, lora_alpha=config.lora_alpha))

    def _replace_module(self, parent: nn.Module, child_name: str, new_module: nn.Module, child: nn.Module) -> None:
        setattr(parent, child_name, new_module)

    def _check_merge_allowed(self) -> None:
        super()._check_merge_allowed()
        if any(isinstance(module, RoutedLayer) for module in self.model.modules()):
            raise ValueError(UNMERGEABLE)
