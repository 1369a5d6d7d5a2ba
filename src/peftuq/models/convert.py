"""Fetched weights of other formats, turned once into safetensors."""

import logging
from pathlib import Path
from pickle import UnpicklingError

import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

from peftuq.errors import UserError


def from_gguf(folder: Path, name: str) -> dict[str, str]:
    """Replace `folder/name` by float32 safetensors and its tokenizer; return the report's note on it."""
    logging.getLogger("transformers").setLevel(logging.ERROR)
    config = GgufConfig(gguf_file=name, dequantize=True)
    model = AutoModelForCausalLM.from_pretrained(
        folder,
        gguf_file=name,
        dtype=torch.float32,
        quantization_config=config,
        local_files_only=True,
        trust_remote_code=False,
    )
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=name, local_files_only=True, trust_remote_code=False)
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
        except (RuntimeError, EOFError, OSError, UnpicklingError) as error:
            raise UserError(f"{file}: no weights that are safe to read ({error}): fetch the model again") from error
        # safetensors stores no aliases: tied weights are written out.
        save_file({name: tensor.clone().contiguous() for name, tensor in state.items()},
                  folder / "model.safetensors", metadata={"format": "pt"})  # fmt: skip
    file.unlink()
    return {"converted": file.name}
