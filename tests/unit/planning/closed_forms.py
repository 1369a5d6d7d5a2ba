"""Rehearsals in closed form, two FLOPs for a weight, token and pass: nothing is traced, so plans are made at once."""

from collections.abc import Iterable
from typing import Any

from peftuq.config.roles import PLACES
from peftuq.planning import cost
from peftuq.planning.cards import CARDS
from peftuq.planning.cost import Shape
from peftuq.planning.requests import Request

ADUE_FITS, ADUE_GRID = 473, 144  # heads of a cell that are trained at once, and those of the main grid


class ClosedForms:
    """In place of `planning.rehearsals.Rehearsals`."""

    card = CARDS["a100-80"]

    def of(self, wanted: Iterable[Request]) -> list[dict[str, Any]]:
        return [result(request) for request in wanted]


def result(request: Request) -> dict[str, Any]:
    """Peak memory in bytes, and FLOPs of a batch of 1000 tokens."""
    shape, classes = cost.Shape.of(request.config), len(request.spec["task"]["classes"])
    dense = request.config["model_type"] not in ("llama", "qwen2", "mistral")
    head = cost.head_parameters(shape, classes, dense)
    if request.program == "fit_score":
        rows, params = request.spec["rows"][request.spec["params"]["train_on"]], request.spec["params"]
        passes = ADUE_FITS / ADUE_GRID * sum(params["epochs"])
        for name in ("lr", "alpha", "beta"):
            passes *= len(params[name])
        peak = {"transient": 16 * ADUE_FITS * head + 4 * rows * shape.hidden}
        return {"peak": peak, "work": {"flops": 0}, "tokens": 1000,
                "job": {"flops": 6 * passes * rows * head, "part": params["train_on"]}}  # fmt: skip
    trained = adapter_parameters(shape, request.spec["recipe"]["adapter"])
    passes = {
        "train": 4 * shape.block_weights + 6 * trained,
        "extract": 2 * (shape.block_weights + trained),
        "predict_with_model": 2 * (shape.block_weights + trained),
        "fit_laplace": 2 * (1 + classes) * 2 * (shape.block_weights + trained),  # two batches
    }
    choice = request.spec["task"]["kind"] == "choice"
    untied = choice and not request.config.get("tie_word_embeddings")
    weights = 2 * (shape.weights + (shape.vocabulary * shape.hidden if untied else 0))
    kept = 16 * trained + 2 * 40 * shape.depth * shape.hidden * 1000 if request.program == "train" else 0
    return {"peak": {"weights": weights, "kept activations": kept, "transient": 8 * classes},
            "work": {"flops": 1000 * passes[request.program]}, "tokens": 1000,
            "trainable": trained + (0 if choice else head)}  # fmt: skip


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


def adapter_parameters(shape: Shape, adapter: dict[str, Any] | None) -> int:
    """Trainable parameters of a recipe's adapter, LoRA or a mixture."""
    if adapter is None:
        return 0
    mixture, sizes = adapter.get("mixture"), (adapter["targets"], adapter["rank"])
    if mixture is None:
        return lora_parameters(shape, *sizes, adapter.get("top_layers"))
    return mixlora_parameters(shape, *sizes, mixture["experts"], mixture["experts_at"], adapter.get("top_layers"))
