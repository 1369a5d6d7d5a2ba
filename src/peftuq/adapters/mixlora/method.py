"""Mixtures of LoRA experts, as the training and extraction programs see an adapter."""

from torch import Tensor
from transformers import PreTrainedModel

from peftuq.adapters.mixlora.attach import attach
from peftuq.adapters.mixlora.readout import MixtureReadOut
from peftuq.adapters.peft_lora import load
from peftuq.models.readout import Output
from peftuq.plugins import AdapterKind

__all__ = ["attach", "extra_loss", "load", "read_out"]

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

FLU_TOKENS = ("mean", "last")  # the last axis of an output's `flu`


def read_out(model, hf: PreTrainedModel, answer_tokens: list[int] | None, loss: dict | None) -> MixtureReadOut:
    """`model` (adapted) around `hf` as a function of tokens; `loss`: a recipe's, where it is trained."""
    loss = loss or {"answer": "vocabulary", "balance": None}
    return MixtureReadOut(model, hf, answer_tokens, loss["answer"], loss["balance"])


def weight(calibration: dict, step: int) -> float:
    """β at a step, counted from 0: constant, or growing to its full value over the first `steps` steps."""
    grown = 1.0 if calibration["schedule"] == "constant" else min(1.0, step / calibration["steps"])
    return calibration["weight"] * grown


def calibration_loss(output: Output, label: Tensor, tokens: str) -> Tensor:
    """Mean of (1[argmax over the options is right] − FLU)² (UQ4CT eq. 13); no gradient through the indicator."""
    flu = output.flu[..., FLU_TOKENS.index(tokens)].mean(dim=1)
    right = (output.logits.argmax(dim=1) == label).to(flu.dtype)
    return (right - flu).square().mean()


def extra_loss(output: Output, label: Tensor, loss: dict, step: int) -> Tensor | None:
    """γ·L_b + β·L_cal (UQ4CT eq. 14), each where the recipe asks for it; β = 0 is the recipe without it."""
    terms = []
    if loss["balance"] is not None:
        terms.append(loss["balance"]["weight"] * output.balance)
    calibration = loss["calibration"]
    if calibration is not None and weight(calibration, step) > 0:
        terms.append(weight(calibration, step) * calibration_loss(output, label, calibration["flu_tokens"]))
    return sum(terms) if terms else None
