"""Rehearsals in closed form, two FLOPs for a weight, token and pass: nothing is traced, so plans are made at once."""

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

from peftuq.planning import cost
from peftuq.planning.cards import CARDS
from peftuq.planning.requests import Request

ADUE_FITS = 473  # heads of a cell that are trained at once


class ClosedForms:
    """In place of `planning.rehearsals.Rehearsals`."""

    card = CARDS["a100-80"]

    def of(self, wanted: Iterable[Request]) -> list[dict[str, Any]]:
        return [result(request) for request in wanted]


def result(request: Request) -> dict[str, Any]:
    """Peak memory in bytes, and FLOPs of a batch of 1000 tokens."""
    shape, classes = cost.Shape.of(request.config), len(request.spec["task"]["classes"])
    if request.program == "fit_adue":
        dense = request.config["model_type"] not in ("llama", "qwen2", "mistral")
        heads = 16 * ADUE_FITS * cost.head_parameters(shape, classes, dense)
        return {"peak": {"transient": heads + 4 * request.spec["rows"]["train"] * shape.hidden}, "work": {"flops": 0},
                "tokens": 1000}  # fmt: skip
    trained = _adapter(shape, request.spec["recipe"]["adapter"])
    passes = {
        "train": 4 * shape.block_weights + 6 * trained,
        "extract": 2 * (shape.block_weights + trained),
        "predict_with_model": 2 * (shape.block_weights + trained),
        "fit_laplace": 2 * (1 + classes) * 2 * (shape.block_weights + trained),  # two batches
    }
    untied = request.spec["task"]["kind"] == "choice" and not request.config.get("tie_word_embeddings")
    weights = 2 * (shape.weights + (shape.vocabulary * shape.hidden if untied else 0))
    kept = 16 * trained + 2 * 40 * shape.depth * shape.hidden * 1000 if request.program == "train" else 0
    return {"peak": {"weights": weights, "kept activations": kept, "transient": 8 * classes},
            "work": {"flops": 1000 * passes[request.program]}, "tokens": 1000}  # fmt: skip


def _adapter(shape: cost.Shape, adapter: dict[str, Any] | None) -> int:
    if adapter is None:
        return 0
    return cost.adapter_parameters(shape, SimpleNamespace(**adapter, sections=adapter))
