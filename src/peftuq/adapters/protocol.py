"""The interface of a kind of adapter: a module that declares a `KIND` and has these functions."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from peftuq.plugins import AdapterKind

if TYPE_CHECKING:
    from peft import PeftModel
    from torch import Tensor, nn
    from transformers import PreTrainedModel

    from peftuq.config.recipe import Adapter, Loss
    from peftuq.models.readout import Output, ReadOut
    from peftuq.specs.task import Kind


class AdapterModule(Protocol):
    KIND: AdapterKind

    def attach(
        self, model: "PreTrainedModel", modules: Mapping[str, str], adapter: "Adapter", kind: "Kind"
    ) -> "PeftModel":
        """Freeze `model` and add a fresh adapter and, for classification, a trainable head, all float32.

        `modules`: names of linear layers by role. Draws from torch's global generator. Raises `UserError` for a role
        that the model lacks.
        """

    def load(self, model: "PreTrainedModel", folder: str | Path) -> "PeftModel":
        """`model` with the adapter saved in `folder`, in evaluation mode. Raises `UserError` if it is incomplete."""

    def read_out(
        self, model: "nn.Module", hf: "PreTrainedModel", answer_tokens: list[int] | None, loss: "Loss | None"
    ) -> "ReadOut":
        """`model`, adapted or not, around `hf` as a function of tokens: logits (N, C), h (N, d).

        `answer_tokens` (C,): of a choice task. `loss`: the recipe's, for a training.
        """

    def extra_loss(self, output: "Output", label: "Tensor", loss: "Loss", step: int) -> "Tensor | None":
        """Term, a scalar, to add to the cross-entropy of labels (N,) at a step counted from 0; None: nothing."""
