"""SWAG for LoRA (Maddox et al. 2019; Onal et al. 2024, arXiv 2405.03425): a Gaussian fitted to late iterates of LoRA.

Of S iterates θ_s of A and B, at equal distances in the last part of a training, the mean θ̄, the variance of each
element and the last K deviations d_s = θ_s - θ̄_s from the mean so far are kept; the posterior is
N(θ̄, ½ diag(var) + ½ D Dᵀ/(K - 1)). The saved adapter is the mean, plain LoRA to any loader, with the covariance beside
it; a classification head is averaged, and has no variance (a layer under a spectral norm stays as it was last). An lr
that decays to 0 leaves no variance at all: `schedule: constant`.

Paper and code (fortuinlab/swag-lora) disagree, and `reference` chooses: the code's samples have twice that covariance.
"""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from peft import PeftModel
from torch import Tensor, nn
from transformers import PreTrainedModel

from peftuq.adapters import drawn, peft_lora
from peftuq.adapters.lora import extra_loss, read_out
from peftuq.adapters.protocol import Terms
from peftuq.config.recipe import Adapter, Recipe
from peftuq.plugins import AdapterKind
from peftuq.specs.task import Kind

__all__ = ["KIND", "attach", "draw", "extra_loss", "load", "read_out", "terms"]

KIND = AdapterKind(
    section="swag",
    provides=["lora", "posterior"],
    params={
        "reference": "paper",  # whose scale of the covariance; or "code"
        "start": 0.5,  # share of the steps before the first iterate may be collected
        "snapshots": 10,  # S
        "rank": 5,  # K
    },
    bounds={"start": (0, 0.99), "snapshots": (2, 10_000), "rank": (2, "snapshots")},
    choices={"reference": ["paper", "code"]},
)


def _factors(model: nn.Module) -> Iterator[tuple[str, nn.Linear]]:
    """A and B of every layer, by name."""
    for name, layer in drawn.lora_layers(model).items():
        for of, factors in (("A", layer.lora_A), ("B", layer.lora_B)):
            yield f"{name}.lora_{of}.{drawn.ADAPTER}", factors[drawn.ADAPTER]


def _with_buffers(model: nn.Module, rank: int) -> None:
    for _, factor in _factors(model):
        weight = factor.weight.detach()
        factor.register_buffer("collected_variance", torch.zeros_like(weight))
        factor.register_buffer("collected_deviations", weight.new_zeros(rank, *weight.shape))


def attach(model: PreTrainedModel, modules: Mapping[str, str], adapter: Adapter, kind: Kind) -> PeftModel:
    """Freeze the backbone and add plain LoRA, with room for its statistics; draws from torch's global generator."""
    peft = peft_lora.attach(model, modules, adapter, kind)
    _with_buffers(peft, adapter.sections["swag"]["rank"])
    for module in list(peft.modules()):
        for name, parameter in list(module.named_parameters(recurse=False)):
            if parameter.requires_grad:  # those of a training alone: a saved adapter has the mean in their place
                module.register_buffer(f"collected_{name}", torch.zeros_like(parameter.detach()), persistent=False)
    return peft


def load(model: PreTrainedModel, folder: str | Path) -> PeftModel:
    """A saved adapter on its backbone, in evaluation mode: its mean."""

    def extend(peft: PeftModel, tensors: Mapping[str, Tensor]) -> None:
        (rank,) = {len(tensor) for name, tensor in tensors.items() if name.endswith("collected_deviations")}
        _with_buffers(peft, rank)

    return peft_lora.load(model, folder, extend)


def snapshots(start: float, count: int, steps: int) -> list[int]:
    """The steps, counted from 0, after which iterates are collected; the last is the training's.

    A training with fewer than `count` steps after its `start` gives an iterate for each.
    """
    first = math.floor(start * steps)
    return sorted({first + math.ceil((steps - first) * number / count) - 1 for number in range(1, count + 1)})


@torch.no_grad()  # type: ignore[untyped-decorator]
def _collect(model: nn.Module, number: int) -> None:
    """Take iterate `number`, from 1, into the statistics: mean and variance by Welford's recurrences."""
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            mean = getattr(module, f"collected_{name}", None)
            if mean is None:
                continue
            before = parameter - mean
            mean.add_(before, alpha=1 / number)
            variance, deviations = (getattr(module, f"collected_{of}", None) for of in ("variance", "deviations"))
            if variance is not None and deviations is not None:
                after = parameter - mean
                variance.mul_((number - 1) / number).addcmul_(before, after, value=1 / number)
                deviations.copy_(torch.cat([deviations[1:], after[None]]))


@torch.no_grad()  # type: ignore[untyped-decorator]
def _finish(model: nn.Module, scale: float, rank: int) -> None:
    """Put the mean in the parameters' place, and what a sample multiplies with noise in that of the statistics."""
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            mean = getattr(module, f"collected_{name}", None)
            if mean is not None:
                parameter.copy_(mean)
    for _, factor in _factors(model):
        factor.collected_variance.mul_(scale)
        factor.collected_deviations.mul_(math.sqrt(scale / (rank - 1)))


def terms(model: nn.Module, recipe: Recipe, examples: int) -> Terms:
    """Collection after some of the steps."""
    assert recipe.adapter is not None and recipe.optimiser is not None
    params = recipe.adapter.sections["swag"]
    scale = {"paper": 0.5, "code": 1.0}[params["reference"]]
    collected = snapshots(params["start"], params["snapshots"], recipe.optimiser.steps(examples))

    def after(step: int, factor: float) -> None:
        if step in collected:
            _collect(model, collected.index(step) + 1)
        if step == collected[-1]:
            _finish(model, scale, min(params["rank"], max(2, len(collected))))

    return Terms(after=after)


def draw(model: nn.Module, generator: torch.Generator) -> dict[str, Tensor]:
    """θ̄ + √var∘z + Dᵀ z', z standard normal for each element and z' for each deviation of all factors together."""
    found, shared = {}, None
    for name, factor in _factors(model):
        mean, deviations = factor.weight.detach(), factor.collected_deviations
        if shared is None:
            shared = torch.randn(len(deviations), generator=generator)
        low_rank = torch.tensordot(shared.to(mean.device), deviations, dims=1)
        found[f"{name}.weight"] = mean + factor.collected_variance.sqrt() * drawn.normal(mean, generator) + low_rank
    return found
