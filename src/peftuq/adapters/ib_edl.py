"""IB-EDL (Li et al. ICLR 2025, arXiv 2502.06351): LoRA whose answers are a Dirichlet distribution.

The evidence for an option is softplus(μ + σ ε), ε standard normal, α = evidence + 1; μ is what would be its logit. The
loss takes the place of the cross-entropy: with p = α/S, S = Σ α, and y the label, the squared Bayes risk
Σ (y - p)² + p (1 - p) / (S + 1), mean over `samples` draws of ε, and the information bottleneck
`beta` · KL(N(μ, σ²) ‖ N(0, 1)). Its authors clip gradients to a norm of 20: `optimiser: {clip: 20}`.

A record's logits are ln E[α], so that their softmax is the expected probability of an option up to the noise of S, and
C / Σ exp(logits) the uncertainty mass, the score `vacuity`. E[α] is a quadrature: the authors' code averages as many
draws as in training, and their number would show.

As in their code (sandylaker/ib-edl), which the paper leaves open, σ is the softplus of the LM head's last rows, as many
as there are options, at the answer's position: no parameter is added. A classifier, which they do not have, gets a
trained layer for it.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from peft import PeftModel
from torch import Tensor, nn
from transformers import PreTrainedModel

from peftuq.adapters import drawn, peft_lora
from peftuq.adapters.lora import extra_loss
from peftuq.adapters.protocol import Terms
from peftuq.config.recipe import Adapter, Loss, Recipe
from peftuq.models.autocast import no_autocast
from peftuq.models.readout import Output, ReadOut, head_modules
from peftuq.models.recompute import dropout
from peftuq.plugins import AdapterKind
from peftuq.specs.task import Kind

__all__ = ["KIND", "attach", "extra_loss", "load", "read_out", "terms"]

KIND = AdapterKind(
    section="ib_edl",
    provides=["evidence"],
    params={"samples": 20, "beta": 1e-5},  # draws of ε a step; weight of the KL
    bounds={"samples": (1, 1000), "beta": (0, None)},
)
NODES = 20  # of the quadrature


class EvidentialReadOut(ReadOut):
    """A read-out whose logits are the logarithm of the expected α."""

    def __init__(self, model: nn.Module, hf: PreTrainedModel, answer_tokens: list[int] | None, answer: str):
        super().__init__(model, hf, answer_tokens, answer)
        nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
        for name, values in (("nodes", nodes), ("weights", weights / weights.sum())):
            self.register_buffer(name, torch.tensor(values, dtype=torch.float32), persistent=False)

    def forward(self, input_ids: Tensor, lengths: Tensor, n_options: Tensor | None = None) -> Output:
        output = super().forward(input_ids, lengths, n_options)
        with no_autocast(output.h.device):
            mean, std = output.logits, F.softplus(self._spread(output.h))
            alpha = 1 + F.softplus(mean[..., None] + std[..., None] * self.nodes) @ self.weights
            logits = alpha.log().masked_fill(mean == -torch.inf, -torch.inf)
            total = output.logsumexp
            if total is not None:  # of a vocabulary whose answers keep their share
                total = total - mean.logsumexp(dim=1) + logits.logsumexp(dim=1)
            return output._replace(logits=logits, logsumexp=total, evidence=(mean, std))

    def _spread(self, h: Tensor) -> Tensor:
        if self.answer_tokens is None:
            spread: Tensor = _head(self.hf).spread(h)
            return spread
        rows = self.hf.get_output_embeddings().weight[-len(self.answer_tokens) :]
        return F.linear(h, rows.to(h.dtype))


def _head(model: PreTrainedModel) -> nn.Module:
    """The trained copy of a classifier's head, which is saved whole."""
    trained: nn.Module = getattr(model, head_modules(model)[-1]).modules_to_save[drawn.ADAPTER]
    return trained


def _with_layer(model: PreTrainedModel) -> None:
    """Give a classifier the layer of σ."""
    _head(model).spread = nn.Linear(model.config.hidden_size, model.config.num_labels)


def attach(model: PreTrainedModel, modules: Mapping[str, str], adapter: Adapter, kind: Kind) -> PeftModel:
    """Freeze the backbone and add plain LoRA, and a classifier's layer of σ; draws from torch's global generator."""
    peft = peft_lora.attach(model, modules, adapter, kind)
    if kind == "classification":
        _with_layer(model)
    return peft


def load(model: PreTrainedModel, folder: str | Path) -> PeftModel:
    """A saved adapter on its backbone, in evaluation mode."""

    def extend(peft: PeftModel, tensors: Mapping[str, Tensor]) -> None:
        if any(name.endswith(".spread.weight") for name in tensors):
            _with_layer(model)

    return peft_lora.load(model, folder, extend)


def read_out(model: nn.Module, hf: PreTrainedModel, answer_tokens: list[int] | None, loss: Loss | None) -> ReadOut:
    """`model` (adapted) around `hf` as a function of tokens to ln E[α]."""
    return EvidentialReadOut(model, hf, answer_tokens, loss.answer if loss else "vocabulary")


def bayes_risk(alpha: Tensor, label: Tensor) -> Tensor:
    """Expected squared error of a Dirichlet distribution's probabilities, summed over the options.

    `alpha` (N, C), 0 for an option that there is not; `label` (N,) → (N,), in [0, 2].
    """
    total = alpha.sum(dim=1, keepdim=True)
    p = alpha / total
    wanted = F.one_hot(label, alpha.shape[1]).to(alpha.dtype)
    return ((wanted - p).square() + p * (1 - p) / (total + 1)).sum(dim=1)


def kl(mean: Tensor, std: Tensor) -> Tensor:
    """KL(N(mean, std²) ‖ N(0, 1)) in nats, elementwise."""
    return 0.5 * (mean.square() + std.square() - 1) - std.log()


def terms(model: nn.Module, recipe: Recipe, examples: int) -> Terms:
    """The loss in place of the cross-entropy."""
    assert recipe.adapter is not None
    params = recipe.adapter.sections["ib_edl"]

    def loss(output: Output, label: Tensor) -> Tensor:
        assert output.evidence is not None
        mean, std = output.evidence
        missing = mean == -torch.inf
        generator = dropout.generator(mean.device, dropout.draw_seed())
        risks = []
        for _ in range(params["samples"]):
            noise = torch.randn(mean.shape, device=mean.device, generator=generator)
            alpha = (1 + F.softplus(mean + std * noise)).masked_fill(missing, 0)
            risks.append(bayes_risk(alpha, label).mean())
        information = kl(mean.masked_fill(missing, 0), std).masked_fill(missing, 0).sum(dim=1).mean()
        return torch.stack(risks).mean() + params["beta"] * information

    return Terms(loss=loss)
