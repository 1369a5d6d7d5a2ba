"""BLoB (Wang et al. 2024, arXiv 2406.11675): LoRA with a Gaussian posterior on A, trained with its mean.

A_ij ~ N(M_ij, G_ij⁴), so that the standard deviation is G²; B is a point. Training draws one noise matrix a layer and a
micro-batch, whose signs flipout (Wen et al. 2018) turns for each example: x A'ᵀ = x Mᵀ + ((x∘r) (G²∘E)ᵀ)∘t with r, t
uniform on ±1. The cross-entropy is the optimiser's; KL(q‖N(0, σ_p²)) has its own SGD (`kl_descent`). The saved adapter
is the mean, plain LoRA to any loader, with G beside it: `point` tests without samples, `posterior_samples-10` with ten.

Paper and code (Wang-ML-Lab/bayesian-peft, `blob.py`) disagree, and `reference` chooses: the paper's flipout has signs
for each example, the code's for every position of each.
"""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from peft import PeftModel
from torch import Tensor, nn
from transformers import PreTrainedModel

from peftuq.adapters import drawn, peft_lora
from peftuq.adapters.kl_descent import kl_descent
from peftuq.adapters.lora import extra_loss, read_out
from peftuq.adapters.protocol import Terms
from peftuq.config.recipe import Adapter, Recipe
from peftuq.models.recompute import dropout
from peftuq.plugins import AdapterKind
from peftuq.specs.task import Kind

__all__ = ["KIND", "attach", "draw", "extra_loss", "load", "read_out", "terms"]

KIND = AdapterKind(
    section="blob",
    provides=["lora", "posterior"],
    params={
        "reference": "paper",  # whose flipout; or "code"
        "epsilon": 0.05,  # G starts uniform on (ε/√2, ε)
        "prior_std": 0.2,  # σ_p
        "kl_lr": 0.01,  # of the KL's SGD
        "gamma": 8.0,  # of its cycles' length
    },
    bounds={"epsilon": (1e-6, 1), "prior_std": (1e-6, None), "kl_lr": (0, 1000), "gamma": (1, 1000)},
    choices={"reference": ["paper", "code"]},
)


class FlipoutFactor(nn.Linear):
    """A ~ N(`weight`, `G`⁴) in place of LoRA's A: flipout while it trains, else the mean."""

    def __init__(self, A: nn.Linear):
        super().__init__(A.in_features, A.out_features, bias=False, device="meta")
        self.weight, self.G = A.weight, nn.Parameter(torch.zeros_like(A.weight))
        self.by_position = False  # signs of their own for every position

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        generator = dropout.generator(x.device, dropout.draw_seed())
        noise = self.G.square() * torch.randn(self.G.shape, device=x.device, generator=generator)
        signs = [self._signs(x, width, generator) for width in (self.in_features, self.out_features)]
        return super().forward(x) + F.linear(x * signs[0], noise) * signs[1]

    def _signs(self, x: Tensor, width: int, generator: torch.Generator) -> Tensor:
        each = x.shape[:-1] if self.by_position else (x.shape[0], *(1 for _ in x.shape[1:-1]))
        return (2 * torch.randint(2, (*each, width), device=x.device, generator=generator) - 1).to(x.dtype)


def factors(model: nn.Module) -> Iterator[tuple[str, FlipoutFactor]]:
    return ((name, module) for name, module in model.named_modules() if isinstance(module, FlipoutFactor))


def kl(mean: Tensor, std: Tensor, prior_std: float) -> Tensor:
    """KL(N(mean, std²) ‖ N(0, prior_std²)) in nats, summed over the elements."""
    ratio = (std / prior_std).square()
    return 0.5 * (ratio + (mean / prior_std).square() - 1 - ratio.log()).sum()


def attach(model: PreTrainedModel, modules: Mapping[str, str], adapter: Adapter, kind: Kind) -> PeftModel:
    """Freeze the backbone and add a fresh adapter, M as in LoRA; draws from torch's global generator."""
    params = adapter.sections["blob"]
    peft = peft_lora.attach(model, modules, adapter, kind)
    drawn.with_factor(peft, FlipoutFactor)
    for _, factor in factors(peft):
        factor.by_position = params["reference"] == "code"
        nn.init.uniform_(factor.G, params["epsilon"] / math.sqrt(2), params["epsilon"])
    return peft


def load(model: PreTrainedModel, folder: str | Path) -> PeftModel:
    """A saved adapter on its backbone, in evaluation mode: its mean."""
    return peft_lora.load(model, folder, lambda peft, _: drawn.with_factor(peft, FlipoutFactor))


def terms(model: nn.Module, recipe: Recipe, examples: int) -> Terms:
    """The KL's own SGD after each step."""
    assert recipe.adapter is not None
    params = recipe.adapter.sections["blob"]
    found = [(factor.weight, factor.G) for _, factor in factors(model)]

    def divergence() -> Tensor:
        return torch.stack([kl(mean, G.square(), params["prior_std"]) for mean, G in found]).sum()

    parameters = [parameter for pair in found for parameter in pair]
    return Terms(after=kl_descent(divergence, parameters, params["kl_lr"], params["gamma"], recipe, examples))


def draw(model: nn.Module, generator: torch.Generator) -> dict[str, Tensor]:
    """M + G²∘E for every layer."""
    found = {}
    for name, factor in factors(model):
        mean = factor.weight.detach()
        found[f"{name}.weight"] = mean + factor.G.detach().square() * drawn.normal(mean, generator)
    return found
