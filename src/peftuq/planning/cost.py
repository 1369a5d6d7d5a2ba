"""Parameters of models and heads, from shapes alone.

Counts follow the architectures' definitions; tests compare them with the models themselves, built without storage.
"""

from dataclasses import dataclass
from typing import Any

_GATED = {"llama", "mistral", "qwen2", "qwen3", "gemma3_text"}


@dataclass(frozen=True)
class Shape:
    """Sizes of a transformer: `hidden` d, `inner` FFN width, `depth` layers, `kv` and `heads` widths in all."""

    hidden: int
    inner: int
    depth: int
    heads: int
    kv: int
    vocabulary: int
    gated: bool

    @classmethod
    def of(cls, config: dict[str, Any]) -> "Shape":
        """From a transformers configuration as a mapping."""
        count = config["num_attention_heads"]
        size = config.get("head_dim", config["hidden_size"] // count)
        return cls(
            hidden=config["hidden_size"],
            inner=config["intermediate_size"],
            depth=config["num_hidden_layers"],
            heads=size * count,
            kv=size * config.get("num_key_value_heads", count),
            vocabulary=config["vocab_size"],
            gated=config["model_type"] in _GATED,
        )

    def linear(self, role: str) -> tuple[int, int]:
        """(inputs, outputs) of the linear layer in a role: q, k, v, o, gate, up, down."""
        d = self.hidden
        return {
            "q": (d, self.heads),
            "k": (d, self.kv),
            "v": (d, self.kv),
            "o": (self.heads, d),
            "gate": (d, self.inner),
            "up": (d, self.inner),
            "down": (self.inner, d),
        }[role]

    @property
    def roles(self) -> tuple[str, ...]:
        return ("q", "k", "v", "o", *(("gate",) if self.gated else ()), "up", "down")

    @property
    def block_weights(self) -> int:
        """Weights of all blocks' linear layers: what every token is multiplied with."""
        return self.depth * sum(i * o for i, o in map(self.linear, self.roles))

    @property
    def weights(self) -> int:
        """Weights of blocks and embedding, without biases and norms (under 0.2 % of all)."""
        return self.block_weights + self.vocabulary * self.hidden


def head_parameters(shape: Shape, classes: int, dense: bool) -> int:
    """Parameters of a classification head: a linear layer, behind a dense one and with biases in BERT-type encoders."""
    return shape.hidden * classes + (shape.hidden * (shape.hidden + 1) + classes if dense else 0)
