"""IVON (Shen et al. 2024, arXiv 2402.17641, algorithm 1) on LoRA (Cong et al. 2024, arXiv 2411.04421).

An optimiser whose state is a Gaussian posterior N(m, diag σ²) of all that is trained, σ² = 1 / (λ (h + δ)): m are the
parameters, λ is `ess`, δ the recipe's weight decay, that is a prior N(0, 1 / (λδ)), and h an estimate of the Hessian's
diagonal of the mean loss. At each step θ = m + σ∘ε is drawn, once for the whole batch, and with the gradient ĝ at θ

  g ← β₁ g + (1 - β₁) ĝ                  ĥ = ĝ (θ - m) / σ²
  h ← β₂ h + (1 - β₂) ĥ + ½ (1 - β₂)² (h - ĥ)² / (h + δ)
  m ← m - lr · clip((g / (1 - β₁ᵗ) + δ m) / (h + δ), ± `clip`),

whose last term in h keeps h + δ above 0. The saved adapter is m, plain LoRA to any loader, with σ beside it: `point`
tests at the mean, `posterior_samples-10` with ten draws. σ covers the factors and a classification head (of a layer
under a spectral norm, whose effective weights are saved, it is 0).

Defaults are the authors' for WinoGrande-S; of ARC and OpenBookQA they are `ess` 1e6 and `hessian` 1e-3; the rate is
0.03, linear to 0. The first paper scales the rate by h₀ + δ, the second's code (team-approx-bayes/ivon-lora) does not,
and neither does this: with its clipping no step would be larger than 1e-8.
"""

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from torch import Tensor, nn
from transformers import PreTrainedModel

from peftuq.adapters import drawn, peft_lora
from peftuq.adapters.lora import extra_loss, read_out
from peftuq.adapters.protocol import Terms
from peftuq.config.recipe import Adapter, Recipe
from peftuq.models.recompute import dropout
from peftuq.plugins import AdapterKind
from peftuq.specs.task import Kind

__all__ = ["KIND", "attach", "draw", "extra_loss", "load", "read_out", "terms"]

KIND = AdapterKind(
    section="ivon",
    provides=["lora", "posterior"],
    params={
        "ess": 1e7,  # λ, the effective sample size
        "hessian": 3e-4,  # h₀, where h starts
        "clip": 1e-3,  # largest element of a step, over the rate
        "beta1": 0.9,
        "beta2": 0.99999,
    },
    bounds={"ess": (1, None), "hessian": (1e-12, 1e6), "clip": (1e-12, None), "beta1": (0, 0.9999), "beta2": (0, 1)},
)


class Ivon(torch.optim.Optimizer):
    """`params`: as `KIND` declares them; `seed`: of the noise, which depends on it and the step's number alone."""

    def __init__(
        self, parameters: Iterable[nn.Parameter], lr: float, weight_decay: float, params: Mapping[str, Any], seed: int
    ):
        super().__init__(parameters, {"lr": lr, "weight_decay": weight_decay, **params})
        self._seed = seed
        self._noise: dict[nn.Parameter, Tensor] = {}

    def _each(self) -> Iterator[tuple[nn.Parameter, dict[str, Any], dict[str, Any]]]:
        """Every parameter, its state and its settings."""
        for group in self.param_groups:
            for parameter in group["params"]:
                state = self.state[parameter]
                if not state:
                    state["step"] = torch.zeros(())
                    state["momentum"] = torch.zeros_like(parameter)
                    state["hessian"] = torch.full_like(parameter, group["hessian"])
                yield parameter, state, group

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def std(self) -> dict[nn.Parameter, Tensor]:
        """σ of every parameter."""
        return {p: (of["ess"] * (s["hessian"] + of["weight_decay"])).rsqrt() for p, s, of in self._each()}

    @contextlib.contextmanager
    def sampled(self, number: int) -> Iterator[None]:
        """Inside the block the parameters are a draw from the posterior, step `number`'s, alike in every process."""
        generators: dict[torch.device, torch.Generator] = {}
        own = {}
        with torch.no_grad():
            for parameter, std in self.std().items():
                device = parameter.device
                if device not in generators:
                    generators[device] = dropout.generator(device, drawn.generator(self._seed, number).initial_seed())
                noise = torch.randn(parameter.shape, device=device, generator=generators[device])
                own[parameter], self._noise[parameter] = parameter.clone(), noise.mul_(std)
                parameter.add_(self._noise[parameter])
        try:
            yield
        finally:
            with torch.no_grad():
                for parameter, mean in own.items():
                    parameter.copy_(mean)

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def step(self, closure: None = None) -> None:
        """Update from the gradients at the last sample."""
        for parameter, state, of in self._each():
            if parameter.grad is None:
                continue
            gradient, h, decay = parameter.grad, state["hessian"], of["weight_decay"]
            state["step"] += 1
            momentum = state["momentum"].lerp_(gradient, 1 - of["beta1"])
            estimate = gradient * self._noise[parameter] * of["ess"] * (h + decay)
            rest = 1 - of["beta2"]
            h.add_(rest * (estimate - h) + 0.5 * rest**2 * (h - estimate).square() / (h + decay))
            unbiased = momentum / (1 - of["beta1"] ** float(state["step"]))
            update = (unbiased + decay * parameter) / (h + decay)
            parameter.sub_(update.clamp_(-of["clip"], of["clip"]), alpha=of["lr"])


def _buffer(parameter: str) -> str:
    return f"collected_{parameter}_std"


def _stds(model: nn.Module) -> Iterator[tuple[str, nn.Parameter, Tensor]]:
    """Parameters with a posterior, by name, and the buffers of their σ."""
    for path, module in model.named_modules():
        for name, parameter in module.named_parameters(recurse=False):
            std = getattr(module, _buffer(name), None)
            if std is not None:
                yield f"{path}.{name}", parameter, std


def attach(model: PreTrainedModel, modules: Mapping[str, str], adapter: Adapter, kind: Kind) -> PeftModel:
    """Freeze the backbone and add plain LoRA, with room for σ; draws from torch's global generator."""
    peft = peft_lora.attach(model, modules, adapter, kind)
    for module in list(peft.modules()):
        for name, parameter in list(module.named_parameters(recurse=False)):
            if parameter.requires_grad:
                module.register_buffer(_buffer(name), torch.zeros_like(parameter.detach()))
    return peft


def load(model: PreTrainedModel, folder: str | Path) -> PeftModel:
    """A saved adapter on its backbone, in evaluation mode: its mean."""

    def extend(peft: PeftModel, tensors: Mapping[str, Tensor]) -> None:
        for path, module in list(peft.named_modules()):
            saved = path.replace(f".modules_to_save.{drawn.ADAPTER}", "").removesuffix(f".{drawn.ADAPTER}")
            for name, parameter in list(module.named_parameters(recurse=False)):
                if f"{saved}.{_buffer(name)}" in tensors and "original_module" not in path:
                    module.register_buffer(_buffer(name), torch.zeros_like(parameter))

    return peft_lora.load(model, folder, extend)


def terms(model: nn.Module, recipe: Recipe, examples: int) -> Terms:
    """The optimiser, and σ's way into what is saved after its last step; draws from torch's global generator."""
    assert recipe.adapter is not None and recipe.optimiser is not None
    optim, trained = recipe.optimiser, peft_lora.trainable(model).values()
    optimiser = Ivon(trained, optim.lr, optim.weight_decay, recipe.adapter.sections["ivon"], dropout.draw_seed())
    last = optim.steps(examples) - 1

    def after(step: int, factor: float) -> None:
        if step == last:
            found = optimiser.std()
            for _, parameter, std in _stds(model):
                std.copy_(found[parameter])

    return Terms(after=after, optimiser=optimiser, around=optimiser.sampled)


def draw(model: nn.Module, generator: torch.Generator) -> dict[str, Tensor]:
    """m + σ∘ε, ε standard normal for each element."""
    return {name: mean.detach() + std * drawn.normal(mean, generator) for name, mean, std in _stds(model)}
