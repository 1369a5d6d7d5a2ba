"""Mixtures of LoRA experts, as the training and extraction programs see an adapter."""

from torch import nn
from transformers import PreTrainedModel

from peftuq.adapters.mixlora.attach import attach
from peftuq.adapters.mixlora.losses import extra_loss
from peftuq.adapters.mixlora.readout import MixtureReadOut
from peftuq.adapters.peft_lora import load
from peftuq.config.recipe import Loss
from peftuq.plugins import AdapterKind

__all__ = ["KIND", "attach", "extra_loss", "load", "read_out"]

KIND = AdapterKind(
    section="mixture",
    provides=["flu"],
    takes=["loss.balance", "loss.calibration"],
    places="experts_at",
    rule="train_mixlora",
    params={"experts": 8, "top_k": 2, "experts_at": ["ffn"]},
    bounds={"experts": (1, None), "top_k": (1, "experts")},
    choices={"experts_at": ["attention", "ffn"]},
)


def read_out(
    model: nn.Module, hf: PreTrainedModel, answer_tokens: list[int] | None, loss: Loss | None
) -> MixtureReadOut:
    """`model` (adapted) around `hf` as a function of tokens; `loss`: a recipe's, where it is trained."""
    loss = loss or Loss()
    return MixtureReadOut(model, hf, answer_tokens, loss.answer, loss.balance)
