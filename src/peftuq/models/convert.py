"""Fetched weights of other formats, turned once into safetensors."""

import logging
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

from peftuq.errors import UserError


def from_gguf(folder: Path, name: str) -> dict[str, str]:
    """Replace `folder/name` by float32 safetensors and its tokenizer; return the report's note on it."""
    logging.getLogger("transformers").setLevel(logging.ERROR)
    config = GgufConfig(gguf_file=name, dequantize=True)
    local: dict[str, Any] = {"gguf_file": name, "local_files_only": True, "trust_remote_code": False}
    try:
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, quantization_config=config, **local)
        tokenizer = AutoTokenizer.from_pretrained(folder, **local)
    except Exception as error:  # several libraries read the file, and raise what they like
        raise UserError(f"{name}: no GGUF file that can be read ({error}): correct the key gguf in the model's file, "
                        "or its source") from error  # fmt: skip
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / name).unlink()
    return {"dequantised": name}


def from_torch(folder: Path) -> dict[str, str]:
    """Replace `pytorch_model.bin` by safetensors, read by torch's restricted unpickler: tensors, no code."""
    file = folder / "pytorch_model.bin"
    if not file.exists():
        return {}
    if not list(folder.glob("*.safetensors")):
        try:
            state = torch.load(file, map_location="cpu", weights_only=True)
            weights = {name: tensor.clone().contiguous() for name, tensor in state.items()}
        except (RuntimeError, EOFError, OSError, ValueError, AttributeError, UnpicklingError) as error:
            raise UserError(f"{file.name}: no weights that are safe to read ({error}): correct the model's "
                            "source") from error  # fmt: skip
        # safetensors stores no aliases: tied weights are written out.
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    file.unlink()
    return {"converted": file.name}
