"""In training, what follows the last block's attention is computed at the position that is read, and at no other.

Earlier blocks are needed at every position, through the attention of those that follow. The last hidden state of a
model in training mode is (N, 1, d) then, that of one in evaluation mode (N, T, d), as it always was.
"""

from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from peftuq.models.recompute.install import GATED_FFNS


class ReadPositions:
    """The positions `at` (N,) of the present batch, kept until the next one: checkpointed blocks ask for them again.

    Blocks that are not laid out as Llama's or BERT's are left alone.
    """

    def __init__(self, hf: PreTrainedModel):
        self.at: Tensor | None = None
        decoder, encoder = getattr(hf.base_model, "layers", None), getattr(hf.base_model, "encoder", None)
        if decoder is not None and type(getattr(decoder[-1], "mlp", None)).__name__ in GATED_FFNS:
            decoder[-1].mlp.register_forward_pre_hook(self._input)
            decoder[-1].register_forward_hook(self._output)
        elif encoder is not None:
            output = getattr(getattr(encoder.layer[-1], "attention", None), "output", None)
            if type(output).__name__.endswith("SelfOutput"):
                output.register_forward_pre_hook(self._first)

    def _read(self, x: Tensor) -> Tensor:
        assert self.at is not None
        return x[torch.arange(len(x), device=x.device), self.at][:, None]

    def _input(self, module: nn.Module, args: tuple[Tensor]) -> tuple[Tensor] | None:
        return (self._read(args[0]),) if module.training and self.at is not None else None

    def _output(self, module: nn.Module, args: Any, output: Tensor) -> Tensor | None:
        """The read position of the sum with what passes the FFN by, which has all positions."""
        return self._read(output) if module.training and self.at is not None else None

    def _first(self, module: nn.Module, args: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor] | None:
        return (args[0][:, :1], args[1][:, :1]) if module.training and self.at is not None else None
