"""Models of a few thousand weights and a dataset of a few words: every rule of the workflow in a second or two."""

import json
import random
from pathlib import Path

import torch
import yaml
from checkout import Checkout
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, BertConfig, LlamaConfig
from transformers import PreTrainedTokenizerFast as Fast

GOOD, BAD = ["good", "fine", "great"], ["bad", "poor", "awful"]
OTHER = ["the", "film", "was", "so", "and", "its", "end", "plot"]
ASKED = ["Sentiment", "Answer", "negative", "positive", ":", ".", "A", "B"]
SHAPE = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
SHAPE |= {"vocab_size": 64, "max_position_embeddings": 64}
CONFIGS = {"nano_encoder": BertConfig(**SHAPE), "nano_decoder": LlamaConfig(**SHAPE, num_key_value_heads=1)}
ROLES = {"nano_encoder": ("query", "key", "value"), "nano_decoder": ("q_proj", "k_proj", "v_proj")}


def furnish(checkout: Checkout) -> None:
    """Add `nano_encoder`, `nano_decoder`, and the datasets `words` and `other_words`, from files made here."""
    material = checkout.folder / "material"
    for name, config in CONFIGS.items():
        _model(material / name, name, config)
        modules = dict(zip("qkv", ROLES[name], strict=True))
        checkout.write(f"config/models/{name}.yaml", {
            "version": 1,
            "title": name,
            "kind": name.removeprefix("nano_"),
            "licence": "none",
            "sources": {"local": {"folder": str(material / name)}},
            "config": {"model_type": config.model_type, **SHAPE},
            "modules": modules,
            "max_length": 48,
        })  # fmt: skip
    for seed, name in enumerate(("words", "other_words")):
        _rows(material / name / "train.jsonl", 120, seed)
        checkout.write(f"config/datasets/{name}.yaml", {
            "version": 1,
            "title": name,
            "kind": "classification",
            "origin": "made",
            "licence": "none",
            "classes": ["negative", "positive"],
            "question": "Sentiment:",
            "row": {"text": "{text}", "label": {"column": "label"}},
            "splits": {"train": ["train"], "valid": {"share": 0.25}, "test": {"share": 0.25}},
            "sources": {"local": {"folder": name, "files": {"train": "train.jsonl"}}},
        })  # fmt: skip


def _model(folder: Path, name: str, config) -> None:
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *ASKED, *GOOD, *BAD, *OTHER]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    if name == "nano_encoder":
        tokenizer.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", None, [("[CLS]", 2), ("[SEP]", 3)])
    special = {"pad_token": "[PAD]", "unk_token": "[UNK]", "eos_token": "[SEP]"}
    torch.manual_seed(0)
    auto = AutoModelForSequenceClassification if name == "nano_encoder" else AutoModelForCausalLM
    auto.from_config(config).save_pretrained(folder)
    Fast(tokenizer_object=tokenizer, **special).save_pretrained(folder)


def _rows(file: Path, n: int, seed: int) -> None:
    """Sentences with one telling word; every tenth is told wrong, so that there are errors to score."""
    draw = random.Random(seed)
    rows = []
    for i in range(n):
        label = i % 2
        telling = draw.choice(GOOD if label != (i % 10 == 0) else BAD)
        text = [*draw.choices(OTHER, k=draw.randint(2, 6)), telling]
        draw.shuffle(text)
        rows.append({"text": " ".join(text), "label": label})
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))


def edit(checkout: Checkout, name: str, **changes) -> None:
    """Change keys of a YAML file; a dotted key is written with double underscores."""
    path = checkout.folder / name
    content = yaml.safe_load(path.read_text())
    for key, value in changes.items():
        *parents, last = key.split("__")
        at = content
        for parent in parents:
            at = at.setdefault(parent, {})
        at[last] = value
    path.write_text(yaml.safe_dump(content, sort_keys=False))
