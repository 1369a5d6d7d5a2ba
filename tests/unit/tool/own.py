"""A user's own adapter, in little: a tiny model, an adapter of plain PEFT, and rows with labels that it half knows."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from peft import IA3Config, LoraConfig, TaskType, get_peft_model
from tiny import DECODERS, ENCODERS, build
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

WORDS = [f"w{place}" for place in range(40)]
CLASSES = ["no", "perhaps", "yes"]
LETTERS = ["A", "B", "C"]
KINDS: dict[str, Any] = {
    "lora": lambda **task: LoraConfig(r=2, target_modules=["query", "value"], **task),
    "dora": lambda **task: LoraConfig(r=2, target_modules=["query", "value"], use_dora=True, **task),
    "rslora": lambda **task: LoraConfig(r=2, target_modules=["query", "value"], use_rslora=True, **task),
    "every layer": lambda **task: LoraConfig(r=2, target_modules="all-linear", **task),
    "ia3": lambda **task: IA3Config(target_modules=["key", "value"], feedforward_modules=[], **task),
}


def tokenizer(encoder: bool) -> PreTrainedTokenizerFast:
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "Answer", ":", ".", *LETTERS, *WORDS]
    built = Tokenizer(models.WordLevel({word: place for place, word in enumerate(vocabulary)}, unk_token="[UNK]"))
    built.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation()])
    if encoder:
        pair = [("[CLS]", 2), ("[SEP]", 3)]
        built.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=pair)
    return PreTrainedTokenizerFast(tokenizer_object=built, pad_token="[PAD]", unk_token="[UNK]")


def save(folder: Path, kind: str = "lora", encoder: str = "bert", seed: int = 0) -> tuple[Path, Path]:
    """Folders of a model and of an adapter on it, for classification with an encoder, for choice with a decoder."""
    classification = encoder in ENCODERS
    config = (ENCODERS | DECODERS)[encoder]
    model = build(config, "classification" if classification else "choice", len(CLASSES), seed)
    (model.base_model if classification else model).save_pretrained(folder / "model")  # as published: without a head
    tokenizer(classification).save_pretrained(folder / "model")
    if classification:
        saved = ["classifier"] if kind == "every layer" else ["pooler", "classifier"]
        peft = get_peft_model(model, KINDS[kind](task_type=TaskType.SEQ_CLS, modules_to_save=saved))
    else:
        lora = LoraConfig(r=2, target_modules=["q_proj", "v_proj"], task_type=TaskType.CAUSAL_LM)
        peft = get_peft_model(model, lora)
    torch.manual_seed(seed + 1)
    with torch.no_grad():
        for name, parameter in peft.named_parameters():
            if parameter.requires_grad:
                scale = 3.0 if "modules_to_save" in name else 0.3
                parameter.add_(torch.randn_like(parameter) * scale * parameter.std().nan_to_num(1.0).clamp(min=0.1))
        if encoder == "bert":  # as many answers of each class
            tokens = tokenizer(True)(texts(100, seed), padding=True, return_tensors="pt")
            inputs = {name: tokens[name] for name in ("input_ids", "attention_mask")}
            head = model.classifier.modules_to_save["default"]
            head.bias -= peft.eval()(**inputs).logits.mean(dim=0)
    peft.save_pretrained(folder / "adapter")
    return folder / "model", folder / "adapter"


def texts(n: int, seed: int) -> list[str]:
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, size=rng.integers(3, 9))) for _ in range(n)]


def noisy(logits: np.ndarray, seed: int) -> np.ndarray:
    """Labels that an adapter with these logits gets right where it is sure."""
    noise = np.random.default_rng(seed).gumbel(size=logits.shape)
    found = (logits / logits.std() * 2.0 + noise).argmax(axis=1)
    return np.asarray(found)
