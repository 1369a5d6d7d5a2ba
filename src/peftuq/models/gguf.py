"""Quantised GGUF weights, dequantised once into a plain folder of safetensors and a tokenizer."""

import logging
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig


def convert(folder: Path, name: str) -> dict[str, str]:
    """Replace `folder/name` by float32 safetensors and its tokenizer; return what to say of it in the report."""
    logging.getLogger("transformers").setLevel(logging.ERROR)
    config = GgufConfig(gguf_file=name, dequantize=True)
    model = AutoModelForCausalLM.from_pretrained(
        folder, gguf_file=name, dtype=torch.float32, quantization_config=config, local_files_only=True
    )
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=name, local_files_only=True)
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.save_pretrained(folder, safe_serialization=True)
    tokenizer.save_pretrained(folder)
    (folder / name).unlink()
    return {"dequantised": name}
