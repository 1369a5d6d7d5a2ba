"""The adapted modules: a frozen FFN or linear layer with a router and its experts."""

import math
from collections.abc import Callable, Mapping
from typing import NoReturn

import torch
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import Tensor, nn

from peftuq.adapters.mixlora.config import MixLoraConfig
from peftuq.adapters.mixlora.experts import ROLES, expert_ffn, expert_linear
from peftuq.adapters.mixlora.routing import Route, route

UNMERGEABLE = (
    "a mixture of experts cannot be merged into the base weights: which experts a token gets depends on the token; "
    "keep the adapter beside its backbone"
)


class RoutedLayer(nn.Module, BaseTunerLayer):
    """A frozen module whose tokens are routed to K of E low-rank corrections.

    For the linear layers in `linears`, by role: `mixlora_A_<role>` (E·r, d_in) and `mixlora_B_<role>` (d_out, E·r)
    stack the experts' factors; `mixlora_router` (E, d). All are float32. While `observer` is set, each forward pass
    calls it with the router's probabilities and K.
    """

    def __init__(self, base_layer: nn.Module, linears: Mapping[str, nn.Linear], adapter: str, config: MixLoraConfig):
        super().__init__()
        self.base_layer = base_layer
        self.observer: Callable[[Tensor, int], None] | None = None
        self.configs: dict[str, MixLoraConfig] = {}
        self.mixlora_dropout = nn.ModuleDict()
        for name in self.adapter_layer_names:
            setattr(self, name, nn.ParameterDict())
        self._sizes = {role: (linear.in_features, linear.out_features) for role, linear in linears.items()}
        self._device = next(iter(linears.values())).weight.device
        self.update_layer(adapter, config)

    def update_layer(self, adapter: str, config: MixLoraConfig) -> None:
        """Add fresh experts and a router: A as in LoRA, B = 0, so that all experts begin as the frozen module."""
        self.configs[adapter] = config
        self.mixlora_dropout[adapter] = nn.Dropout(config.lora_dropout) if config.lora_dropout else nn.Identity()
        experts, stacked = config.num_experts, config.num_experts * config.r
        for role, (inputs, outputs) in self._sizes.items():
            self._parameters_of("A", role)[adapter] = self._empty(stacked, inputs)
            self._parameters_of("B", role)[adapter] = self._empty(outputs, stacked)
            nn.init.kaiming_uniform_(self._parameters_of("A", role)[adapter], a=math.sqrt(5))
            nn.init.zeros_(self._parameters_of("B", role)[adapter])
        self.mixlora_router[adapter] = self._empty(experts, next(iter(self._sizes.values()))[0])
        nn.init.normal_(self.mixlora_router[adapter], std=config.router_std)
        self.set_adapter(self.active_adapters)

    def _empty(self, *shape: int) -> nn.Parameter:
        return nn.Parameter(torch.empty(shape, device=self._device, dtype=torch.float32))

    def _parameters_of(self, factor: str, role: str) -> nn.ParameterDict:
        return getattr(self, f"mixlora_{factor}_{role}")

    def factors(self, factor: str, adapter: str) -> dict[str, Tensor]:
        return {role: self._parameters_of(factor, role)[adapter] for role in self._sizes}

    def forward(self, x: Tensor) -> Tensor:
        active = [name for name in self.active_adapters if name in self.configs]
        if self.disable_adapters or not active:
            return self.base_layer(x)
        if len(active) > 1:
            raise ValueError(f"adapters {active} are all active: a mixture of experts works with one at a time")
        adapter, config = active[0], self.configs[active[0]]
        routed = route(x, self.mixlora_router[adapter], config.top_k)
        if self.observer is not None:
            self.observer(routed.probabilities, config.top_k)
        return self.mix(x, routed, adapter, config)

    def mix(self, x: Tensor, routed: Route, adapter: str, config: MixLoraConfig) -> Tensor:
        raise NotImplementedError

    def merge(self, safe_merge: bool = False, adapter_names: list[str] | None = None) -> NoReturn:
        raise ValueError(UNMERGEABLE)

    def supports_lora_conversion(self, adapter_name: str = "default") -> bool:
        return False


class ExpertFFN(RoutedLayer):
    """A gated FFN (`gate_proj`, `up_proj`, `down_proj`, `act_fn`) whose experts span all of it (UQ4CT eq. 4-5)."""

    adapter_layer_names = ("mixlora_router", *(f"mixlora_{factor}_{role}" for role in ROLES for factor in "AB"))
    other_param_names = ("mixlora_dropout", "configs")

    def __init__(self, base_layer: nn.Module, adapter: str, config: MixLoraConfig):
        linears = {role: getattr(base_layer, f"{role}_proj", None) for role in ROLES}
        if not all(isinstance(linear, nn.Linear) for linear in linears.values()) or not hasattr(base_layer, "act_fn"):
            raise ValueError(
                f"ffn_modules matches a {type(base_layer).__name__}, which is not a gated FFN with gate_proj, up_proj, "
                "down_proj and act_fn; use expert_modules for its linear layers"
            )
        super().__init__(base_layer, linears, adapter, config)

    def mix(self, x: Tensor, routed: Route, adapter: str, config: MixLoraConfig) -> Tensor:
        y = expert_ffn(
            x.flatten(0, -2), self.base_layer, self.factors("A", adapter), self.factors("B", adapter),
            routed.weights.flatten(0, -2), routed.experts.flatten(0, -2),
            config.num_experts, config.scale, self.mixlora_dropout[adapter],
        )  # fmt: skip
        return y.view(*x.shape[:-1], -1)


class ExpertLinear(RoutedLayer):
    """A linear layer with experts and a router of its own."""

    adapter_layer_names = ("mixlora_router", "mixlora_A_linear", "mixlora_B_linear")
    other_param_names = ("mixlora_dropout", "configs")

    def __init__(self, base_layer: nn.Linear, adapter: str, config: MixLoraConfig):
        if not isinstance(base_layer, nn.Linear):
            raise ValueError(f"expert_modules matches a {type(base_layer).__name__}, which is not a linear layer")
        super().__init__(base_layer, {"linear": base_layer}, adapter, config)

    def mix(self, x: Tensor, routed: Route, adapter: str, config: MixLoraConfig) -> Tensor:
        A, B = self.factors("A", adapter)["linear"], self.factors("B", adapter)["linear"]
        return expert_linear(
            x, self.base_layer, A, B, routed.weights, routed.experts,
            config.num_experts, config.scale, self.mixlora_dropout[adapter],
        )  # fmt: skip
