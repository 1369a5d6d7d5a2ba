"""DALorRA (Zhang et al. 2026, arXiv 2607.02182): LoRA with a Bernoulli posterior over which ranks are used.

ΔW = B diag(z) A, z_i ~ Bernoulli(σ(φ_i)). In training z is relaxed, sigmoid((φ + logistic noise)/τ), drawn once a
forward pass; the loss of an example is the cross-entropy + KL(q‖Bernoulli(p₀))/n, exact, for n training examples. φ
starts at logit p₀ and moves at a learning rate of its own. The saved adapter is the mean, diag(σ(φ)) A, plain LoRA to
any loader, with φ beside it; samples are drawn with z of 0 and 1.

There is no public code. p₀ and τ are this library's choices: the descriptions that were to be had name neither.
"""

import math
from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from peft import PeftModel
from torch import Tensor, nn
from transformers import PreTrainedModel

from peftuq.adapters import drawn, peft_lora
from peftuq.adapters.lora import extra_loss, read_out
from peftuq.adapters.protocol import Terms
from peftuq.adapters.rank_gates import GatedFactor, draw, factors
from peftuq.config.recipe import Adapter, Recipe
from peftuq.plugins import AdapterKind
from peftuq.specs.task import Kind

__all__ = ["KIND", "attach", "draw", "extra_loss", "load", "read_out", "terms"]

KIND = AdapterKind(
    section="dalora",
    provides=["posterior"],
    params={
        "prior": 0.9,  # p₀
        "temperature": 0.5,  # τ
        "lr": 0.01,  # of φ
    },
    bounds={"prior": (0.001, 0.999), "temperature": (0.01, 100), "lr": (0, 1000)},
)


class MaskedFactor(GatedFactor):
    """Gates z."""

    names = ("phi",)
    temperature = 1.0

    def mean(self, *gates: Tensor) -> Tensor:
        return gates[0].sigmoid()

    def sample(self, *gates: Tensor, generator: torch.Generator, relaxed: bool) -> Tensor:
        (phi,) = gates
        uniform = torch.rand(phi.shape, device=phi.device, generator=generator)
        if not relaxed:
            return (uniform < phi.sigmoid()).to(phi.dtype)
        return ((phi + uniform.logit(eps=1e-6)) / self.temperature).sigmoid()


def kl(phi: Tensor, prior: float) -> Tensor:
    """KL(Bernoulli(σ(phi)) ‖ Bernoulli(prior)) in nats, summed."""
    p = phi.sigmoid()
    return (p * (F.logsigmoid(phi) - math.log(prior)) + (1 - p) * (F.logsigmoid(-phi) - math.log1p(-prior))).sum()


def attach(model: PreTrainedModel, modules: Mapping[str, str], adapter: Adapter, kind: Kind) -> PeftModel:
    """Freeze the backbone and add a fresh adapter; draws from torch's global generator."""
    params = adapter.sections["dalora"]
    peft = peft_lora.attach(model, modules, adapter, kind)
    drawn.with_factor(peft, MaskedFactor)
    for _, factor in factors(peft):
        assert isinstance(factor, MaskedFactor)
        factor.temperature = params["temperature"]
        nn.init.constant_(factor.gates[0], math.log(params["prior"] / (1 - params["prior"])))
    return peft


def load(model: PreTrainedModel, folder: str | Path) -> PeftModel:
    """A saved adapter on its backbone, in evaluation mode: its mean."""
    return peft_lora.load(model, folder, lambda peft, _: drawn.with_factor(peft, MaskedFactor))


def terms(model: nn.Module, recipe: Recipe, examples: int) -> Terms:
    """KL/n in the loss, and φ's learning rate."""
    assert recipe.adapter is not None
    params = recipe.adapter.sections["dalora"]
    found = {f"{name}.phi": factor.gates[0] for name, factor in factors(model)}

    def penalty() -> Tensor:
        return torch.stack([kl(phi, params["prior"]) for phi in found.values()]).sum() / examples

    return Terms(penalty=penalty, rates=dict.fromkeys(found, params["lr"]))
