"""Models of two narrow blocks of every family, adapted and in a job's precision."""

import dataclasses
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import torch
from hardware import Processor
from recipes import recipe
from trainings import DATA, job
from transformers import BertConfig, LlamaConfig, MistralConfig, PretrainedConfig, Qwen2Config

from peftuq.adapters import lora
from peftuq.adapters.mixlora import method as mixlora
from peftuq.config.load import merge
from peftuq.config.recipe import Recipe
from peftuq.models import backbone
from peftuq.models.readout import ReadOut
from peftuq.training import loop
from peftuq.training.assemble import assemble

ENCODER = {"vocab_size": 64, "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
ENCODER |= {"intermediate_size": 96, "max_position_embeddings": 64}
DECODER = {**ENCODER, "num_key_value_heads": 1, "pad_token_id": 0}
BERT = {"q": "query", "v": "value"}
OTHER = {"q": "q_proj", "v": "v_proj", "gate": "gate_proj", "up": "up_proj", "down": "down_proj"}
CLASSES = 3
PLAIN = {"targets": ["q", "v"], "rank": 2, "alpha": 4, "dropout": 0.1}
MIXTURE = {**PLAIN, "targets": ["q", "gate", "up", "down"], "mixture": {}}
OPTIMISER = {"lr": 0.001, "weight_decay": 0.1, "batch_size": 4, "epochs": 3, "warmup": 0.1, "clip": 1.0}
COMMON = {"optimiser": OPTIMISER, "micro_batch_tokens": 16, "checkpoint_steps": 2}


class Kind(NamedTuple):
    """An architecture, its task, and its adapter with what its recipe has beside the common keys."""

    config: PretrainedConfig
    task: str
    adapters: ModuleType
    recipe: dict[str, Any]

    def trained_by(self) -> Recipe:
        return recipe(**merge(COMMON, self.recipe))


ROUTED = {"adapter": MIXTURE, "loss": {"balance": {}, "calibration": {}}}
KINDS = {
    "encoder": Kind(BertConfig(**ENCODER), "classification", lora, {"adapter": PLAIN, "spectral_norm": "train"}),
    "llama": Kind(LlamaConfig(**DECODER), "classification", lora, {"adapter": PLAIN}),
    "mistral": Kind(MistralConfig(**DECODER), "choice", lora, {"adapter": PLAIN, "prior": {"half_lambda": 1}}),
    "qwen2": Kind(Qwen2Config(**DECODER), "choice", lora, {"adapter": PLAIN, "gradient_checkpointing": True}),
    "mixture": Kind(LlamaConfig(**DECODER), "choice", mixlora, ROUTED),
}


def read_out(name: str, hardware: Processor, dtype: torch.dtype = torch.bfloat16) -> ReadOut:
    """The model that a training of this kind begins with, the same every time."""
    kind, choice = KINDS[name], KINDS[name].task == "choice"
    torch.manual_seed(0)
    hf = backbone.on_meta(kind.config, kind.task, CLASSES, dtype)
    hardware.place(hf)
    modules = BERT if name == "encoder" else OTHER
    answers = list(range(50, 50 + CLASSES)) if choice else None
    return assemble(hf, kind.adapters, kind.trained_by(), modules, kind.task, answers).to(hardware.device)


def train(name: str, model: ReadOut, folder: Path, dtype: torch.dtype = torch.bfloat16) -> list[dict]:
    """Fifteen steps, with a checkpoint after every second; what the log says of each epoch."""
    kind = KINDS[name]
    common = job(folder, kind.trained_by(), extra_loss=kind.adapters.extra_loss)
    return loop.train(model, DATA, dataclasses.replace(common, dtype=dtype))[0]
