"""Weights of an adapter that are drawn: which, with which generator, and a model that has them for a while."""

import contextlib
from collections.abc import Iterator, Mapping

import numpy as np
import torch
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn

ADAPTER = "default"  # PEFT's name of the one adapter


def lora_layers(model: nn.Module) -> dict[str, LoraLayer]:
    """The adapted layers of a model by name, in its order."""
    return {name: module for name, module in model.named_modules() if isinstance(module, LoraLayer)}


def with_factor(model: nn.Module, factor: type[nn.Module]) -> None:
    """Put `factor(A)` in place of A in every adapted layer; it has A's `weight`, or one of that shape."""
    for layer in lora_layers(model).values():
        layer.lora_A[ADAPTER] = factor(layer.lora_A[ADAPTER])
        layer.cast_input_dtype_enabled = False  # no copy of the input in float32: autocast converts it


def factor(layer: str, of: str) -> str:
    """The name of a layer's factor, "A" or "B", among the parameters of its model."""
    return f"{layer}.lora_{of}.{ADAPTER}.weight"


def generator(seed: int, draw: int) -> torch.Generator:
    """The generator of draw number `draw`, on the CPU: the same numbers whatever the device."""
    return torch.Generator().manual_seed(int(np.random.SeedSequence([seed, draw]).generate_state(1, np.uint64)[0] >> 1))


def normal(like: Tensor, source: torch.Generator) -> Tensor:
    """Standard normal numbers in the shape and on the device of `like`, float32, from a generator on the CPU."""
    return torch.randn(like.shape, generator=source).to(like.device)


@contextlib.contextmanager
def weights(model: nn.Module, drawn: Mapping[str, Tensor]) -> Iterator[None]:
    """Inside the block the parameters named in `drawn` have those values, and afterwards their own, to the bit."""
    parameters = dict(model.named_parameters())
    own = {name: parameters[name].detach().clone() for name in drawn}
    try:
        _set(parameters, drawn)
        yield
    finally:
        _set(parameters, own)


def _set(parameters: Mapping[str, nn.Parameter], values: Mapping[str, Tensor]) -> None:
    with torch.no_grad():
        for name, value in values.items():
            parameters[name].copy_(value)
