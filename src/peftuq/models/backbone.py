"""Pretrained weights from a local folder, at the precision the device is fast in."""

import warnings
from pathlib import Path

import torch
import transformers
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from peftuq.errors import UserError

# Its bars and advice (a fresh head is "missing") would drown the job's own lines; mistakes are raised below.
transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")


def device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def dtype(precision: str) -> torch.dtype:
    """`fp32`, `bf16`, or with `auto` bf16 wherever the device multiplies it natively."""
    if precision == "auto":
        cpu = torch.cpu.get_capabilities()
        native = torch.cuda.is_bf16_supported() if torch.cuda.is_available() else cpu.get("avx512_bf16", False)
        return torch.bfloat16 if native else torch.float32
    return {"bf16": torch.bfloat16, "fp32": torch.float32}[precision]


def load(folder: str | Path, kind: str, n_classes: int, dtype: torch.dtype) -> PreTrainedModel:
    """The backbone with a classification head of `n_classes` (`classification`) or its LM head (`choice`).

    A classification head that the weights lack is initialised from torch's global generator: seed it first.
    """
    config = _config(AutoConfig.from_pretrained(folder, local_files_only=True), n_classes, kind)
    auto = AutoModelForSequenceClassification if kind == "classification" else AutoModelForCausalLM
    try:
        return auto.from_pretrained(
            folder, config=config, dtype=dtype, use_safetensors=True,
            local_files_only=True, trust_remote_code=False,
        )  # fmt: skip
    except (OSError, ValueError) as error:
        raise UserError(f"{folder}: cannot load the weights ({error}); delete the folder and fetch again") from error


def on_meta(config: AutoConfig, kind: str, n_classes: int) -> PreTrainedModel:
    """The same model without storage: shapes and names only, for any size."""
    auto = AutoModelForSequenceClassification if kind == "classification" else AutoModelForCausalLM
    with torch.device("meta"):
        return auto.from_config(_config(config, n_classes, kind))


def _config(config, n_classes: int, kind: str):
    if kind == "classification":
        config.num_labels = n_classes
        # Decoders read the last token by position here; transformers only asks that some pad token exists.
        if getattr(config, "pad_token_id", None) is None:
            eos = config.eos_token_id
            config.pad_token_id = eos[0] if isinstance(eos, list) else eos
    return config


def tokenizer(folder: str | Path) -> PreTrainedTokenizerFast:
    """The backbone's tokenizer; padding is on the right, where a causal model cannot see it."""
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    tokenizer.padding_side = "right"
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer
