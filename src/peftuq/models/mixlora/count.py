"""Trainable parameters of a MixLoRA adapter, from shapes alone and without torch."""

from collections.abc import Collection

from peftuq.grid.cost import Shape

ATTENTION, FFN = ("q", "k", "v", "o"), ("gate", "up", "down")
PLACES = {"attention": ATTENTION, "ffn": FFN}


def mixlora_parameters(
    shape: Shape,
    targets: Collection[str],
    rank: int,
    experts: int,
    experts_at: Collection[str],
    top_layers: int | None = None,
) -> int:
    """Σ r (d_in + d_out) over the adapted layers, times E where experts are, plus the routers' E·d_in.

    A gated FFN has one router for all three of its layers; any other layer with experts has its own.
    """
    depth = min(top_layers or shape.depth, shape.depth)
    mixed = [role for place in experts_at for role in PLACES[place] if role in targets]
    routers = [role for role in mixed if not (shape.gated and role in ("up", "down"))]
    factors = sum((experts if role in mixed else 1) * rank * sum(shape.linear(role)) for role in targets)
    return depth * (factors + experts * sum(shape.linear(role)[0] for role in routers))
