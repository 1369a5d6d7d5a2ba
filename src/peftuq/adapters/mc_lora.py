"""MonteCLoRA (Sengupta et al. 2024, arXiv 2411.04358) through PEFT's own `MontecloraConfig`.

While it trains, A is a mean of `samples` draws around it: A + Σ_k w_k `sample_scale` Σ^½ ε_k, with Wishart-distributed
variances Σ of its ranks and Dirichlet-distributed weights w (the logistic-normal approximation), whose parameters are
trained; the loss gets PEFT's penalty, `kl_weight` times three divergences, a mean over the layers. PEFT's sampler is
off outside training, and nothing is drawn from what is saved: here the method is a regulariser, whose `point` is plain
LoRA.

Defaults are PEFT's. Its divergence of the weights is not that of two Dirichlet distributions: Σ ln Γ(α) has the other
sign.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from functools import partial

import torch
from peft import LoraConfig, PeftModel
from peft.tuners.lora.config import MontecloraConfig
from peft.tuners.lora.monteclora import MontecloraSampler
from torch import Tensor, nn
from transformers import PreTrainedModel

from peftuq.adapters import drawn
from peftuq.adapters.lora import extra_loss, read_out
from peftuq.adapters.peft_lora import load, target_pattern, wrap
from peftuq.adapters.protocol import Terms
from peftuq.config.recipe import Adapter, Recipe
from peftuq.plugins import AdapterKind
from peftuq.specs.task import Kind

__all__ = ["KIND", "attach", "extra_loss", "load", "read_out", "terms"]

KIND = AdapterKind(
    section="mc_lora",
    params={"samples": 8, "sample_scale": 1e-4, "kl_weight": 1e-5, "dirichlet_prior": 0.1, "entropy": False},
    bounds={"samples": (1, 1000), "sample_scale": (0, 1000), "kl_weight": (0, None), "dirichlet_prior": (1e-6, 1e6)},
)


def samplers(model: nn.Module) -> Iterator[MontecloraSampler]:
    return (module for module in model.modules() if isinstance(module, MontecloraSampler))


def attach(model: PreTrainedModel, modules: Mapping[str, str], adapter: Adapter, kind: Kind) -> PeftModel:
    """As LoRA's, with PEFT's sampler in every layer; draws from torch's global generator."""
    params = adapter.sections["mc_lora"]
    how = MontecloraConfig(
        num_samples=params["samples"],
        use_entropy=params["entropy"],
        dirichlet_prior=params["dirichlet_prior"],
        sample_scaler=params["sample_scale"],
        kl_loss_weight=params["kl_weight"],
        buffer_size=1,  # numbers drawn ahead would make a resumed training another one
    )
    where = target_pattern(model, modules, adapter)
    peft = wrap(model, kind, partial(LoraConfig, monteclora_config=how), adapter, target_modules=where)
    _without_storage(peft, how)
    for sampler in samplers(peft):
        sampler.sampler.index = 1  # nor is the first draw that of a step
    return peft


def _without_storage(peft: PeftModel, how: MontecloraConfig) -> None:
    """Give the layers of a model without storage their samplers, which PEFT would make in the first forward pass."""
    for layer in drawn.lora_layers(peft).values():
        if drawn.ADAPTER not in layer.lora_monteclora_sampler:
            sizes = {"in_features": layer.in_features, "out_features": layer.r[drawn.ADAPTER]}
            with torch.device("cpu"):
                sampler = MontecloraSampler(**sizes, **asdict(how), device="cpu", dtype=torch.float32)
            layer.lora_monteclora_sampler[drawn.ADAPTER] = sampler


def terms(model: nn.Module, recipe: Recipe, examples: int) -> Terms:
    """PEFT's penalty."""
    peft: PeftModel = next(module for module in model.modules() if isinstance(module, PeftModel))
    found = list(samplers(peft))

    def penalty() -> Tensor:
        return torch.as_tensor(peft.base_model._get_monteclora_loss())

    def after(step: int, factor: float) -> None:
        """Forget the step's draw, which PEFT keeps among what is saved."""
        for sampler in found:
            sampler.gaussian_var_prior = torch.eye(sampler.out_features, device=sampler.std_prior.device)
            sampler.expert_weights = torch.full_like(sampler.expert_weights_prior.detach(), 1 / sampler.num_samples)

    return Terms(penalty=penalty, after=after)
