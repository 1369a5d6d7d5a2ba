"""Jobs on tiny models, as the rehearsal's programs take them."""

import copy
from typing import Any

from recipes import PROMPT

DECODER = {
    "model_type": "llama", "vocab_size": 96, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "intermediate_size": 48, "max_position_embeddings": 64,
}  # fmt: skip
ENCODER = {
    "model_type": "bert", "vocab_size": 96, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
    "intermediate_size": 48, "max_position_embeddings": 64,
}  # fmt: skip
MODULES = {
    "llama": {role: f"{role}_proj" for role in ("q", "k", "v", "o", "gate", "up", "down")},
    "bert": {"q": "query", "k": "key", "v": "value"},
}
MIXTURE = {"experts": 4, "top_k": 2, "experts_at": ["ffn"]}


def spec(config: dict[str, Any], precision: str = "bf16", mixture: dict | None = None, **task: Any) -> dict[str, Any]:
    """LoRA, or a mixture, on every layer that `MODULES` names; batches of 4 x 16 tokens."""
    kind = "classification" if config["model_type"] == "bert" else "choice"
    modules = MODULES[config["model_type"]]
    adapter = {"targets": list(modules), "rank": 4, "alpha": 8, "dropout": 0.1, "mixture": mixture}
    optimiser = {"lr": 1e-3, "weight_decay": 0, "batch_size": 8, "epochs": 1, "schedule": "constant"}
    balance = {"coefficient": 1} if mixture else None
    made = {
        "task": {
            "kind": kind, "classes": list("abc"), "max_length": 16, "prompt": PROMPT if kind == "choice" else None,
            "precision": precision, "batch_tokens": 128,
        } | task,
        "adapter": "peftuq.adapters.mixlora.method" if mixture else "peftuq.adapters.lora",
        "modules": modules,
        "recipe": {
            "version": 1, "adapter": adapter, "loss": {"balance": balance}, "optimiser": {**optimiser, "clip": 1.0},
            "micro_batch_tokens": 64, "checkpoint_steps": 10**9,
        },
        "params": {
            "positions": "all", "head": "excluded", "rank": 4, "exact_below": 16, "batch_tokens": 64,
            "grid": [-3.0, 4.0, 5],
        },
    }  # fmt: skip
    return copy.deepcopy(made)
