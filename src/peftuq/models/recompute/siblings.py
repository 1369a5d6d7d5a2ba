"""Adapted layers that read one input: q, k and v of an attention, gate and up of an FFN.

The first that is called computes for all, with one product for the stacked A, one mask, and one gradient of the input.
"""

from functools import partial
from typing import Any

from jaxtyping import Float
from peft.tuners.lora import Linear as LoraLinear
from torch import Tensor, nn

from peftuq.models.recompute.lora import arguments, linear, linears

# By name within their parent: which layers read the same tensor cannot be seen before they run.
_NAMES = (("q_proj", "k_proj", "v_proj"), ("query", "key", "value"), ("q", "k", "v"), ("gate_proj", "up_proj"))


class Siblings:
    """The results of a forward pass of `parent` that its `layers` have not asked for yet."""

    def __init__(self, parent: nn.Module, layers: list[LoraLinear]):
        self._layers, self._input, self._waiting = layers, None, dict[int, Tensor]()
        self._inside = False
        parent.register_forward_pre_hook(self._enter)
        parent.register_forward_hook(self._leave, always_call=True)
        for number, layer in enumerate(layers):
            layer.forward = partial(self._forward, number)

    def _enter(self, *_: Any) -> None:
        self._inside = True

    def _leave(self, *_: Any) -> None:
        self._inside, self._input = False, None
        self._waiting.clear()

    def _forward(self, number: int, x: Float[Tensor, "*N i"], *args: Any, **kwargs: Any) -> Float[Tensor, "*N o"]:
        if x is self._input and number in self._waiting:
            return self._waiting.pop(number)
        found = [arguments(layer, x.device.type) for layer in self._layers] if self._inside and not args else [None]
        calls = [call for call in found if call is not None]
        if kwargs or len(calls) < len(found) or len({setting for _, setting in calls}) > 1:
            return linear(self._layers[number], x, *args, **kwargs)
        self._input = x
        self._waiting = dict(enumerate(linears([layer for layer, _ in calls], calls[0][1], x)))
        return self._waiting.pop(number)


def join(model: nn.Module) -> None:
    """Let adapted layers of one input compute together while their parent's forward pass runs."""
    for parent in list(model.modules()):
        children = dict(parent.named_children())
        for names in _NAMES:
            layers = [children[name] for name in names if type(children.get(name)) is LoraLinear]
            if len(layers) > 1:
                Siblings(parent, layers)
