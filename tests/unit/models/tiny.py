"""Tiny random models of the papers' architectures, built from their configuration classes."""

import torch
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    BertConfig,
    ElectraConfig,
    Gemma3TextConfig,
    LlamaConfig,
    MistralConfig,
    MPNetConfig,
    PreTrainedModel,
    Qwen2Config,
    Qwen3Config,
    RobertaConfig,
)

from peftuq.models import backbone

_ENCODER = {"vocab_size": 60, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
_ENCODER |= {"intermediate_size": 24, "max_position_embeddings": 40}
_DECODER = {**_ENCODER, "num_key_value_heads": 1, "head_dim": 8, "pad_token_id": 0}

ENCODERS = {
    "bert": BertConfig(**_ENCODER),
    "roberta": RobertaConfig(**_ENCODER, pad_token_id=1),
    "electra": ElectraConfig(**_ENCODER, embedding_size=16),
    "mpnet": MPNetConfig(**_ENCODER, pad_token_id=1),
}
DECODERS = {
    "llama": LlamaConfig(**_DECODER),
    "mistral": MistralConfig(**_DECODER),
    "qwen2": Qwen2Config(**_DECODER),
    "qwen3": Qwen3Config(**_DECODER),
    "gemma3": Gemma3TextConfig(**_DECODER, query_pre_attn_scalar=8),
}
ROLES = {
    "bert": {"q": "query", "k": "key", "v": "value"},
    "mpnet": {"q": r"attn\.q", "k": r"attn\.k", "v": r"attn\.v"},
    "llama": {"q": "q_proj", "k": "k_proj", "v": "v_proj"},
}


def build(config, kind: str, classes: int = 3, seed: int = 0) -> PreTrainedModel:
    torch.manual_seed(seed)
    auto = AutoModelForSequenceClassification if kind == "classification" else AutoModelForCausalLM
    model = auto.from_config(backbone._config(config, classes, kind)).eval()
    with torch.no_grad():  # larger weights than the initialiser's, so that different examples differ visibly
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(5)
    return model
