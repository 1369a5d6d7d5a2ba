"""The interface of a kind of adapter: a module that declares a `KIND` and has these functions."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, cast

from peftuq.plugins import AdapterKind

if TYPE_CHECKING:
    from peft import PeftModel
    from torch import Generator, Tensor, nn
    from torch.optim import Optimizer
    from transformers import PreTrainedModel

    from peftuq.config.recipe import Adapter, Loss, Recipe
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


class Terms(NamedTuple):
    """The part that a kind of adapter has in a training beside the cross-entropy; None: nothing.

    `penalty()`: a scalar that is added to the loss of an example. `after(step, factor)`: called after each step of the
    optimiser, counted from 0, with the factor of the learning rate at it; it may change parameters, alike in every
    process. `rates`: learning rates of parameters, by name, that have one of their own. `loss(output, label)`: a scalar
    in place of the cross-entropy. `optimiser`: one in place of AdamW, of all that is trained. `around(step)`: what the
    forward and backward passes of a step run in.
    """

    penalty: "Callable[[], Tensor] | None" = None
    after: "Callable[[int, float], None] | None" = None
    rates: Mapping[str, float] = MappingProxyType({})
    loss: "Callable[[Output, Tensor], Tensor] | None" = None
    optimiser: "Optimizer | None" = None
    around: "Callable[[int], AbstractContextManager[Any]]" = nullcontext


NOTHING = Terms()


class TermsModule(AdapterModule, Protocol):
    """A kind of adapter with a part of its own in a training."""

    def terms(self, model: "nn.Module", recipe: "Recipe", examples: int) -> Terms:
        """Its part in the training of `model` on so many `examples`.

        What it collects lies in buffers named "collected_…", which are part of a checkpoint.
        """


class PosteriorModule(TermsModule, Protocol):
    """A kind of adapter that provides a `posterior`, trained by variational inference or collected in training."""

    def draw(self, model: "nn.Module", generator: "Generator") -> "dict[str, Tensor]":
        """A sample: values for parameters of `model`, an adapted model as it is loaded, by their names.

        `generator` is on the CPU.
        """


def terms(adapters: AdapterModule, model: "nn.Module", recipe: "Recipe", examples: int) -> Terms:
    """The terms of a kind that defines them; none of another."""
    if not hasattr(adapters, "terms"):
        return NOTHING
    return cast(TermsModule, adapters).terms(model, recipe, examples)
