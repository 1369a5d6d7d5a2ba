"""ScalaBL (Samplawski et al., UAI 2025, arXiv 2506.21408): LoRA with a Gaussian posterior in the space of its ranks.

A = diag(s + σ∘ε) V with one standard normal ε a rank, drawn once a forward pass; V, s, σ and B are trained, s and σ as
logarithms, so that a layer has 2 r parameters more than LoRA. V and s start as the singular vectors and values of
LoRA's A, σ uniform on (ε/√2, ε). The cross-entropy is the optimiser's; KL(q‖N(0, 1)) over s has its own SGD
(`kl_descent`), as in BLoB. The saved adapter is the mean, plain LoRA to any loader, with s and σ beside it.

Paper and code (SRI-CSL/BayesAdapt, `lorawrappers/scalabl.py`) disagree, and `reference` chooses: the code computes
KL(p‖q), the prior and the posterior swapped.
"""

import math
from collections.abc import Mapping
from pathlib import Path

import torch
from peft import PeftModel
from torch import Tensor, nn
from transformers import PreTrainedModel

from peftuq.adapters import drawn, peft_lora
from peftuq.adapters.kl_descent import kl_descent
from peftuq.adapters.lora import extra_loss, read_out
from peftuq.adapters.protocol import Terms
from peftuq.adapters.rank_gates import GatedFactor, draw, factors
from peftuq.config.recipe import Adapter, Recipe
from peftuq.plugins import AdapterKind
from peftuq.specs.task import Kind

__all__ = ["KIND", "attach", "draw", "extra_loss", "load", "read_out", "terms"]

KIND = AdapterKind(
    section="scalabl",
    provides=["posterior"],
    params={
        "reference": "paper",  # which KL; or "code"
        "epsilon": 0.05,  # σ starts uniform on (ε/√2, ε)
        "kl_lr": 0.2,  # of the KL's SGD
        "gamma": 8.0,  # of its cycles' length
    },
    bounds={"epsilon": (1e-6, 1), "kl_lr": (0, 1000), "gamma": (1, 1000)},
    choices={"reference": ["paper", "code"]},
)


class SubspaceFactor(GatedFactor):
    """Gates s + σ∘ε."""

    names = ("log_s", "log_std")

    def mean(self, *gates: Tensor) -> Tensor:
        return gates[0].exp()

    def sample(self, *gates: Tensor, generator: torch.Generator, relaxed: bool) -> Tensor:
        log_s, log_std = gates
        noise = torch.randn(log_s.shape, device=log_s.device, generator=generator)
        return log_s.exp() + log_std.exp() * noise


def kl(mean: Tensor, std: Tensor, reference: str = "paper") -> Tensor:
    """KL(N(mean, std²) ‖ N(0, 1)) in nats, summed; for the `code` that of the two in the other order."""
    if reference == "code":
        return (std.log() + (1 + mean.square()) / (2 * std.square()) - 0.5).sum()
    return (0.5 * (std.square() + mean.square() - 1) - std.log()).sum()


def attach(model: PreTrainedModel, modules: Mapping[str, str], adapter: Adapter, kind: Kind) -> PeftModel:
    """Freeze the backbone and add a fresh adapter; draws from torch's global generator."""
    epsilon = adapter.sections["scalabl"]["epsilon"]
    peft = peft_lora.attach(model, modules, adapter, kind)
    drawn.with_factor(peft, SubspaceFactor)
    for _, factor in factors(peft):
        log_s, log_std = factor.gates
        with torch.no_grad():
            if not factor.V.is_meta:
                _, values, vectors = torch.linalg.svd(factor.V, full_matrices=False)
                factor.V.copy_(vectors)
                log_s.copy_(values.log()[:, None])
            nn.init.uniform_(log_std, epsilon / math.sqrt(2), epsilon).log_()
    return peft


def load(model: PreTrainedModel, folder: str | Path) -> PeftModel:
    """A saved adapter on its backbone, in evaluation mode: its mean."""
    return peft_lora.load(model, folder, lambda peft, _: drawn.with_factor(peft, SubspaceFactor))


def terms(model: nn.Module, recipe: Recipe, examples: int) -> Terms:
    """The KL's own SGD after each step."""
    assert recipe.adapter is not None
    params = recipe.adapter.sections["scalabl"]
    found = [factor.gates for _, factor in factors(model)]

    def divergence() -> Tensor:
        return torch.stack([kl(log_s.exp(), log_std.exp(), params["reference"]) for log_s, log_std in found]).sum()

    parameters = [parameter for pair in found for parameter in pair]
    return Terms(after=kl_descent(divergence, parameters, params["kl_lr"], params["gamma"], recipe, examples))
