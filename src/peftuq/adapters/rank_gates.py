"""LoRA layers with a random gate on each rank, ΔW = B diag(g) A: what ScalaBL and DALorRA share.

The parameters of the gates are saved beside the factors, and with them not A itself but diag(E g) A: any loader of LoRA
finds the mean.
"""

from collections.abc import Iterator
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from peft.tuners.lora import Linear as LoraLinear
from torch import Tensor, nn

from peftuq.adapters import drawn
from peftuq.models.recompute import dropout
from peftuq.models.recompute.projection import projection, rate


class GatedLinear(LoraLinear):
    """PEFT's LoRA layer with gates: drawn once a forward pass while it trains, their mean in evaluation mode.

    A subclass names the tensors (r,) that decide its gates in `gate_names`, each "lora_…", and defines `mean` and
    `sample`, functions of them.
    """

    gate_names: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls) -> None:
        cls.adapter_layer_names = (*LoraLinear.adapter_layer_names, *cls.gate_names)

    def mean(self, *gates: Tensor) -> Tensor:
        """E g (r,); nowhere 0."""
        raise NotImplementedError

    def sample(self, *gates: Tensor, generator: torch.Generator, training: bool) -> Tensor:
        """A draw of g (r,), differentiable while `training`; the generator's device is the tensors'."""
        raise NotImplementedError

    def update_layer(self, adapter_name: str, r: int, *arguments: Any, **named: Any) -> None:
        device = self.get_base_layer().weight.device
        for name in self.gate_names:
            setattr(self, name, nn.ParameterDict({adapter_name: nn.Parameter(torch.ones(r, device=device))}))
        super().update_layer(adapter_name, r, *arguments, **named)
        self.register_state_dict_post_hook(_save_mean)
        self.register_load_state_dict_pre_hook(_load_mean)

    @property
    def gates(self) -> list[nn.Parameter]:
        return [getattr(self, name)[drawn.ADAPTER] for name in self.gate_names]

    def forward(self, x: Tensor, *arguments: Any, **named: Any) -> Tensor:
        if self.training:
            generator = dropout.generator(x.device, dropout.draw_seed())
            gate = self.sample(*self.gates, generator=generator, training=True)
        else:
            gate = self.mean(*self.gates)
        A, B = self.lora_A[drawn.ADAPTER].weight, self.lora_B[drawn.ADAPTER].weight
        device = x.device.type
        dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else A.dtype
        low = projection(x, gate[:, None] * A, dtype=dtype, p=rate(self.lora_dropout[drawn.ADAPTER]))
        return self.base_layer(x) + F.linear(low, B) * self.scaling[drawn.ADAPTER]


def _mean_of(module: nn.Module, tensors: dict[str, Tensor], prefix: str) -> tuple[str, Tensor]:
    assert isinstance(module, GatedLinear)
    gates = [tensors[f"{prefix}{name}.{drawn.ADAPTER}"] for name in module.gate_names]
    return f"{prefix}lora_A.{drawn.ADAPTER}.weight", module.mean(*gates).detach()[:, None]


def _save_mean(module: nn.Module, tensors: dict[str, Tensor], prefix: str, local_metadata: Any) -> None:
    name, mean = _mean_of(module, tensors, prefix)
    tensors[name] = mean * tensors[name].detach()


def _load_mean(module: nn.Module, tensors: dict[str, Tensor], prefix: str, *_: Any) -> None:
    name, mean = _mean_of(module, tensors, prefix)
    tensors[name] = tensors[name] / mean


def layers(model: nn.Module) -> Iterator[tuple[str, GatedLinear]]:
    return ((name, module) for name, module in model.named_modules() if isinstance(module, GatedLinear))


def draw(model: nn.Module, generator: torch.Generator) -> dict[str, Tensor]:
    """Values of every layer's A with which its mean gates make diag(g) A for a draw of g."""
    found = {}
    for name, layer in layers(model):
        gates = [gate.detach().cpu() for gate in layer.gates]
        turned = layer.sample(*gates, generator=generator, training=False) / layer.mean(*gates)
        A = layer.lora_A[drawn.ADAPTER].weight.detach()
        found[drawn.factor(name, "A")] = turned.to(A.device)[:, None] * A
    return found
