"""The training objective: loss on the label or answer only, never on prompt or padding."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from peftuq.config import recipe
from peftuq.models.readout import Output


def cross_entropy(output: Output, label: Tensor, over: str) -> Tensor:
    """Mean cross-entropy, nats: over the classes, or for a choice task over `options` or the whole `vocabulary`."""
    if _among_options(output, over):
        return F.cross_entropy(output.logits, label)
    return _cross_entropies(output, label, over).mean()


def answer_loss(output: Output, label: Tensor, loss: recipe.Loss) -> Tensor:
    """The part of a recipe's loss that every kind of adapter has: mean over the examples, nats.

    Cross-entropy, with a target that is smoothed over the options (Szegedy et al. 2016): 1 - ε + ε/C at the label and
    ε/C at the others, C a question's own options; or the focal loss, -(1 - p)^γ log p (Lin et al. 2017).
    """
    if loss.label_smoothing:
        normaliser = output.logits.logsumexp(dim=1) if _among_options(output, loss.answer) else output.logsumexp
        there = output.logits.isfinite()
        even = output.logits.masked_fill(~there, 0).sum(dim=1) / there.sum(dim=1)
        right = output.logits.gather(1, label[:, None]).squeeze(1)
        return (normaliser - torch.lerp(right, even, loss.label_smoothing)).mean()
    if loss.focal:
        surprise = _cross_entropies(output, label, loss.answer)
        # From expm1: near p = 1 a difference of rounded numbers has no digit left. At p = 1 a power has no gradient.
        wrong = -torch.expm1(-surprise.clamp_min(1e-12))
        return (wrong.pow(loss.focal) * surprise).mean()
    return cross_entropy(output, label, loss.answer)


def _among_options(output: Output, over: str) -> bool:
    return output.logsumexp is None or over == "options"


def _cross_entropies(output: Output, label: Tensor, over: str) -> Tensor:
    if _among_options(output, over):
        return F.cross_entropy(output.logits, label, reduction="none")
    return output.logsumexp - output.logits.gather(1, label[:, None]).squeeze(1)


class Prior:
    """The negative log density of a Gaussian prior on the LoRA factors, up to a constant.

    `half_lambda`·Σ‖θ − θ_0‖² over all A and B (`factors`; θ_0 = 0, or with `anchored` diversity the member's own draw
    from the prior, N(0, 1/(2 half_lambda))), or `half_lambda`·Σ‖BA‖²_F over the adapted layers (`product`). With
    scale `posterior` divided by `examples`.
    """

    def __init__(self, config: recipe.Prior, parameters: Mapping[str, nn.Parameter], examples: int, seed: int):
        a = {name: p for name, p in parameters.items() if "lora_A" in name}
        self._pairs = [(p, parameters[name.replace("lora_A", "lora_B")]) for name, p in a.items()]
        self._over = config.over
        self._weight = config.half_lambda / (examples if config.scale == "posterior" else 1)
        self._centres = [(0.0, 0.0) for _ in self._pairs]
        if config.diversity == "anchored":
            generator = torch.Generator().manual_seed(seed)
            std = (2 * config.half_lambda) ** -0.5
            self._centres = [
                tuple((torch.randn(p.shape, generator=generator) * std).to(p.device) for p in pair)
                for pair in self._pairs
            ]

    def __call__(self) -> Tensor:
        if self._over == "product":
            # ‖BA‖²_F = tr(BᵀB AAᵀ): r × r products, never the d_out × d_in matrix itself
            terms = [((b.T @ b) * (a @ a.T)).sum() for a, b in self._pairs]
        else:
            terms = [
                (p - centre).square().sum()
                for pair, centres in zip(self._pairs, self._centres, strict=True)
                for p, centre in zip(pair, centres, strict=True)
            ]
        return self._weight * torch.stack(terms).sum()
