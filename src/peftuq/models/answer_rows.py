"""LoRA on the LM head, computed for the rows of the answer tokens alone.

What PEFT attaches to the head and saves has every row of B. The other rows start at 0 and no loss reads them, so that
they stay 0: the adapter is the one that a LoRA on a head cut down to the answer tokens would be.
"""

import torch.nn.functional as F
from jaxtyping import Float
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn


class Rows(nn.Module):
    """Answer tokens' rows (C, r) of a B (V, r) that belongs to another module, as a linear layer without a bias."""

    bias = None

    def __init__(self, whole: nn.Linear, tokens: Tensor):
        super().__init__()
        self._whole = [whole]  # a list, so that its weight is not registered twice
        self.in_features, self.out_features = whole.in_features, len(tokens)
        self.register_buffer("tokens", tokens, persistent=False)

    @property
    def whole(self) -> Float[Tensor, "V r"]:
        return self._whole[0].weight

    @property
    def weight(self) -> Float[Tensor, "C r"]:
        return self.whole[self.tokens]

    def forward(self, x: Float[Tensor, "N r"]) -> Float[Tensor, "N C"]:
        return F.linear(x, self.weight)


class AnswerRows(nn.Module):
    """The correction of an LM head `layer` with plain LoRA. Dropout, A and B's rows are modules, which hooks reach."""

    def __init__(self, layer: LoraLayer, tokens: Tensor):
        super().__init__()
        (name,) = layer.lora_A
        self._layer, self._name = [layer], name
        self.rows = Rows(layer.lora_B[name], tokens)

    @property
    def layer(self) -> LoraLayer:
        return self._layer[0]

    @property
    def scale(self) -> float:
        return self.layer.scaling[self._name]

    @property
    def unread(self) -> int:
        """Numbers of B that are in no answer's row."""
        return self.rows.whole.numel() - self.rows.out_features * self.rows.in_features

    def low(self, h: Float[Tensor, "N d"]) -> Float[Tensor, "N r"]:
        """A drop(h)."""
        return self.layer.lora_A[self._name](self.layer.lora_dropout[self._name](h))

    def forward(self, low: Float[Tensor, "N r"]) -> Float[Tensor, "N C"]:
        """The correction of the answers' logits."""
        return self.scale * self.rows(low)

    def of_vocabulary(self, low: Float[Tensor, "N r"]) -> tuple[Float[Tensor, "N r"], Float[Tensor, "V r"]]:
        """Factors x and B whose product x Bᵀ is the correction of the whole vocabulary's logits."""
        return self.scale * low, self.rows.whole

    def weight(self) -> Float[Tensor, "C d"]:
        """The correction of the answers' rows of the head."""
        return self.scale * self.rows.weight @ self.layer.lora_A[self._name].weight


def of_head(head: nn.Module, tokens: Tensor) -> AnswerRows | None:
    """The correction of an LM head at the answer `tokens` (C,); None for one that is not adapted."""
    return AnswerRows(head, tokens) if isinstance(head, LoraLayer) else None
