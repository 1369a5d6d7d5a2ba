"""A checkout with models of a few thousand weights and a dataset of a few words: every job takes seconds."""

import itertools
import json
import os
import random
import re
import subprocess
import sys
import time
from pathlib import Path

import torch
from checkout import CONFIG, Checkout
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, BertConfig, LlamaConfig
from transformers import PreTrainedTokenizerFast as Fast

GOOD, BAD = ["good", "fine", "great"], ["bad", "poor", "awful"]
OTHER = ["the", "film", "was", "so", "and", "its", "end", "plot"]
ASKED = ["Sentiment", "Answer", "negative", "positive", ":", ".", "A", "B"]
WORDS = ["[UNK]", "[CLS]", "[SEP]", *ASKED, *GOOD, *BAD, *OTHER]
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
    torch.manual_seed(0)
    auto = AutoModelForSequenceClassification if name == "nano_encoder" else AutoModelForCausalLM
    auto.from_config(config).save_pretrained(folder)
    tokenizer(name.removeprefix("nano_"), WORDS).save_pretrained(folder)


def tokenizer(kind: str, words: list[str], pad: int = 0) -> Fast:
    """A tokenizer of whole words, `words` and the padding, for an encoder or a decoder; `pad`: the padding's token."""
    vocabulary = {word: i for i, word in enumerate([*words[:pad], "[PAD]", *words[pad:]])}
    whole = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    whole.pre_tokenizer = pre_tokenizers.Whitespace()
    if kind == "encoder":
        ends = [(word, vocabulary[word]) for word in ("[CLS]", "[SEP]")]
        whole.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", None, ends)
    return Fast(tokenizer_object=whole, pad_token="[PAD]", unk_token="[UNK]", eos_token="[SEP]")


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


SMALL = {
    "version": 1,
    "adapter": {"targets": ["q", "v"], "rank": 2, "alpha": 4, "dropout": 0},
    "optimiser": {"lr": 0.01, "batch_size": 16, "epochs": 2},
}
RECIPES = {
    "plain": {**SMALL, "spectral_norm": "train"},
    "member": {**SMALL, "prior": {"half_lambda": 1}, "epoch_records": 20},
    "lambda": {"extends": "member", "sweep": {"key": "prior.half_lambda", "values": [0.1, 10]}},
}
SCORED = {
    "models": ["nano_encoder"],
    "datasets": ["words"],
    "recipes": ["plain"],
    "seeds": 2,
    "shifts": {"words": ["other_words"]},
    "predictives": ["point", "temperature"],
    "scores": ["softmax", "mahalanobis", "rde", "adue"],
}
POOLED = {
    "models": ["nano_decoder"],
    "datasets": ["words_choice"],
    "recipes": ["member"],
    "seeds": 1,
    "predictives": ["ensemble-5"],
    "scores": ["softmax", "information"],
}
SWEPT = {**POOLED, "recipes": ["lambda"], "predictives": ["point"], "scores": ["softmax"]}
AWAY = ".away"  # what an edit puts behind the name of a result that it removes


class Nano(Checkout):
    """The small grid above, and ways to edit its checkout and to take edits back."""

    EDITABLE = ("config", "src", "workflow", "reports/template.typ", "material")

    def __init__(self, folder: Path, precision: str = "fp32"):
        super().__init__(folder)
        furnish(self)
        for name, recipe in RECIPES.items():
            self.write(f"config/recipes/{name}.yaml", recipe)
        self.suite(SCORED, POOLED, SWEPT)
        own = {"sources": ["local"], "local_root": "material", "limit": {}, "precision": precision}
        self.write("config/config.yaml", {**CONFIG, **own})
        self._as_it_was = {path: path.read_bytes() for path in self._files()}

    def _files(self) -> list[Path]:
        below = itertools.chain.from_iterable((self.folder / part).rglob("*") for part in self.EDITABLE)
        files = [*below, self.folder / "reports/template.typ"]
        return [path for path in files if path.is_file() and "__pycache__" not in path.parts]

    def take_back(self) -> None:
        for path in set(self._files()) - self._as_it_was.keys():
            path.unlink()
        for path, content in self._as_it_was.items():
            if path.read_bytes() != content:
                path.write_bytes(content)
        for path in (self.folder / "results").rglob(f"*{AWAY}"):
            path.rename(path.with_suffix(""))
        now = time.time()
        for path in (self.folder / "results").rglob("*.*"):
            if path.stat().st_mtime > now:  # touched into the future, where a later edit would look older
                os.utime(path, (now, now))

    def due(self, *arguments: str) -> dict[str, int]:
        """Jobs that Snakemake would run, by rule."""
        printed = self.run("--dry-run", *arguments)
        assert printed.returncode == 0, printed.stdout + printed.stderr
        counts = re.findall(r"^(\w+) +(\d+)$", printed.stdout + printed.stderr, re.MULTILINE)
        return {rule: int(count) for rule, count in counts if rule not in ("all", "total")}

    def log_of(self, log: str) -> str:
        return (self.folder / "results" / "logs" / f"{log}.log").read_text()

    def why(self, target: str) -> subprocess.CompletedProcess:
        return self.peftuq("why", target)

    def peftuq(self, *words: str) -> subprocess.CompletedProcess:
        """A command of this checkout's library."""
        command = [sys.executable, "-m", "peftuq.cli", *words]
        environment = {**os.environ, "PYTHONPATH": str(self.folder / "src")}
        return subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True)
