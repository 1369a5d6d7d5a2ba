"""Cost of a training, from shapes alone: parameters, memory, floating-point operations.

Counts follow the architectures' definitions and are exact for parameters (tests compare them with the models
themselves, built without storage). Memory is an estimate for one GPU: bf16 frozen weights, float32 adapter with
AdamW, and the activations that a backward pass through frozen layers keeps.
"""

from dataclasses import dataclass
from typing import Any, Protocol

from peftuq.grid.roles import PLACES

GIB = 2**30
SKETCH, SLABS = 4, 2**28  # as in peftuq.laplace: columns of a sketch for each eigenvector, numbers in a batch's slabs
_GATED = {"llama", "mistral", "qwen2", "gemma3_text"}


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


class LoraSize(Protocol):
    """A recipe's keys that decide an adapter's size."""

    targets: list[str]
    rank: int
    top_layers: int | None


class MixtureSize(Protocol):
    experts: int
    experts_at: list[str]


class AdapterSize(LoraSize, Protocol):
    mixture: MixtureSize | None


def lora_parameters(shape: Shape, targets: list[str], rank: int, top_layers: int | None = None) -> int:
    """Trainable parameters of a LoRA adapter: Σ r (d_in + d_out) over the adapted layers (Hu et al. 2022)."""
    depth = min(top_layers or shape.depth, shape.depth)
    return depth * rank * sum(sum(shape.linear(role)) for role in targets)


def mixlora_parameters(
    shape: Shape, targets: list[str], rank: int, experts: int, experts_at: list[str], top_layers: int | None = None
) -> int:
    """Σ r (d_in + d_out) over the adapted layers, times E where experts are, plus the routers' E·d_in.

    A gated FFN has one router for all three of its layers; any other layer with experts has its own.
    """
    depth = min(top_layers or shape.depth, shape.depth)
    mixed = [role for place in experts_at for role in PLACES[place] if role in targets]
    routers = [role for role in mixed if not (shape.gated and role in ("up", "down"))]
    factors = sum((experts if role in mixed else 1) * rank * sum(shape.linear(role)) for role in targets)
    return depth * (factors + experts * sum(shape.linear(role)[0] for role in routers))


def adapter_parameters(shape: Shape, adapter: AdapterSize) -> int:
    """Trainable parameters of a recipe's adapter, whatever its kind."""
    if adapter.mixture is None:
        return lora_parameters(shape, adapter.targets, adapter.rank, adapter.top_layers)
    sizes = (adapter.rank, adapter.mixture.experts, adapter.mixture.experts_at, adapter.top_layers)
    return mixlora_parameters(shape, adapter.targets, *sizes)


def head_parameters(shape: Shape, classes: int, dense: bool) -> int:
    """Parameters of a classification head: a linear layer, behind a dense one and with biases in BERT-type encoders."""
    return shape.hidden * classes + (shape.hidden * (shape.hidden + 1) + classes if dense else 0)


def training_memory(shape: Shape, trained: int, tokens: int, checkpointing: bool, untied: bool) -> float:
    """Peak bytes of a training step on one GPU with `tokens` tokens in the (micro-)batch.

    2 bytes a frozen weight (and again for an untied LM head), 16 a trained one (value, gradient, two moments in
    float32); kept for the backward pass in bf16, a token and layer: inputs of the two norms (as float32), q, k, v,
    attention output, and the FFN's two or three inner activations. With checkpointing a layer keeps its input only,
    and one layer at a time is recomputed.
    """
    frozen = 2 * (shape.weights + (shape.vocabulary * shape.hidden if untied else 0))
    inner = (4 if shape.gated else 2) * shape.inner
    layer = 2 * (2 * 2 * shape.hidden + 2 * shape.hidden + shape.heads * 2 + shape.kv * 2 + inner)
    kept = shape.depth * 2 * shape.hidden + layer if checkpointing else shape.depth * layer
    return frozen + 16 * trained + tokens * kept + 2 * 4 * shape.vocabulary


def laplace_memory(
    shape: Shape, adapter: LoraSize, classes: int, tokens: int, untied: bool, kept: int, exact_below: int
) -> float:
    """Peak bytes of fitting an adapter's posterior and predicting with it, on one GPU with `tokens` tokens in a batch.

    Beside the frozen weights and the activations of a training step without checkpointing: an adapted layer's inputs in
    float32 and its low-rank outputs; its Kronecker factors in float64, whole below `exact_below` columns, else a sketch
    for `kept` eigenvectors; and the slabs of a batch's Jacobians, in float32.
    """
    layers = [shape.linear(role) for role in adapter.targets]
    depth = min(adapter.top_layers or shape.depth, shape.depth)
    trained = lora_parameters(shape, adapter.targets, adapter.rank, adapter.top_layers)

    def factor(width: int) -> int:
        return 8 * width * (width if width < exact_below else 2 * min(width, SKETCH * kept))

    hooked = sum(4 * (inputs + outputs) + 8 * adapter.rank for inputs, outputs in layers)
    factors = sum(factor(inputs) + factor(outputs) + 2 * factor(adapter.rank) for inputs, outputs in layers)
    slabs = 4 * max(SLABS, classes * trained)
    base = training_memory(shape, 0, tokens, False, untied)
    return base + 4 * trained + depth * (tokens * hooked + factors) + slabs


def extraction_memory(shape: Shape, tokens: int, untied: bool) -> float:
    """Peak bytes of asking a model: bf16 weights, and one layer's activations in float32 for a batch's tokens."""
    frozen = 2 * (shape.weights + (shape.vocabulary * shape.hidden if untied else 0))
    inner = (3 if shape.gated else 2) * shape.inner
    return frozen + 4 * tokens * (4 * shape.hidden + 2 * shape.heads + 2 * shape.kv + inner)


def training_flops(shape: Shape, tokens: float, adapter: int = 0, checkpointing: bool = False) -> float:
    """Forward and backward: 2 FLOPs a weight and token each, none for frozen weights' gradients, 2 for an adapter's.

    With checkpointing, layers go forward twice.
    """
    passes = 6.0 if checkpointing else 4.0
    return (passes * shape.block_weights + (passes + 2.0) * adapter) * tokens


def forward_flops(shape: Shape, tokens: float, adapter: int = 0) -> float:
    return 2.0 * (shape.block_weights + adapter) * tokens
