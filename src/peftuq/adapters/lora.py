"""Plain LoRA, as the training and extraction programs see an adapter."""

from torch import Tensor, nn
from transformers import PreTrainedModel

from peftuq.adapters.peft_lora import attach, load
from peftuq.config.recipe import Loss
from peftuq.models.readout import Output, ReadOut
from peftuq.plugins import AdapterKind

__all__ = ["KIND", "attach", "extra_loss", "load", "read_out"]

KIND = AdapterKind(section=None, provides=["lora"], takes=["prior", "lm_head"])


def read_out(model: nn.Module, hf: PreTrainedModel, answer_tokens: list[int] | None, loss: Loss | None) -> ReadOut:
    """`model` (adapted) around `hf` as a function of tokens; `loss`: a recipe's, where it is trained."""
    return ReadOut(model, hf, answer_tokens, loss.answer if loss else "vocabulary")


def extra_loss(output: Output, label: Tensor, loss: Loss, step: int) -> Tensor | None:
    """No term beside the cross-entropy."""
    return None
