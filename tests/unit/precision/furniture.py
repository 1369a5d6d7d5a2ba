"""Files that a run of the workflow finds: tiny models of every architecture, a dataset, a configuration."""

import copy
import json
import random
import shutil
from pathlib import Path

import yaml
from grid import ASKED, ONE, POSTERIOR, SAMPLED, VARIATIONAL
from nano import BAD, GOOD, OTHER, WORDS, tokenizer
from tiny import DECODERS, ENCODERS, build
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import Qwen2Tokenizer

from peftuq.predictives import spuq

ROOT = Path(__file__).parents[3]
TELLING = {"negative": BAD, "neutral": ["plain", "usual", "average"], "positive": GOOD}
MORE = ["neutral", "C", *TELLING["neutral"]]
BERT = {"q": "query", "k": "key", "v": "value", "up": r"intermediate\.dense", "down": r"\d+\.output\.dense"}
MODULES = dict.fromkeys(ENCODERS, BERT) | {
    name: {role: f"{role}_proj" for role in ("q", "k", "v", "gate", "up", "down")} for name in DECODERS
}
MODULES["mpnet"] = {**BERT, "q": r"attn\.q", "k": r"attn\.k", "v": r"attn\.v"}
SIZES = ("model_type", "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")
PIECES = 600  # in the vocabulary of Qwen2
OPTIMISER = {"lr": 0.01, "weight_decay": 0.1, "batch_size": 16, "epochs": 2, "warmup": 0.1, "clip": 1.0}
ADAPTER = {"targets": ["q", "v"], "rank": 2, "alpha": 4, "dropout": 0.1}
MIXTURE = {**ADAPTER, "mixture": {"experts": 4, "top_k": 2}}
RECIPES = {
    "untuned": {"adapter": None},
    "lora": {
        "adapter": ADAPTER,
        "optimiser": OPTIMISER,
        "prior": {"half_lambda": 1},
        "epoch_records": 10,
        "spectral_norm": "train",
        "micro_batch_tokens": 256,  # a batch is accumulated in parts
    },
    "mixlora": {
        "adapter": MIXTURE,
        "optimiser": OPTIMISER,
        "loss": {"balance": {}, "calibration": {}},
        "spectral_norm": "train",
    },
    **{name: {"adapter": {**ADAPTER, name: {}}, "optimiser": OPTIMISER} for name in VARIATIONAL},
}
CONFIG = {
    "suites": ["tiny"],
    "sources": ["local"],
    "local_root": "material",
    "methods": {
        "laplace": {"draws": 2000, "grid": [-1.0, 3.0, 9]},
        "laplace_valid": {"draws": 2000},
        "tfb": {"anchors": 8, "steps": 1},
    },
}


def furnish(folder: Path) -> None:
    """Write the material and the configuration of a run into `folder`."""
    for name, config in (ENCODERS | DECODERS).items():
        _model(folder, name, copy.deepcopy(config))
    _rows(folder / "material/words/train.jsonl", 120)
    _write(folder / "config/datasets/words.yaml", {
        "title": "words",
        "kind": "classification",
        "origin": "made",
        "licence": "none",
        "classes": list(TELLING),
        "question": "Sentiment:",
        "row": {"text": "{text}", "label": {"column": "label"}},
        "splits": {"train": ["train"], "valid": {"share": 0.25}, "test": {"share": 0.25}},
        "sources": {"local": {"folder": "words", "files": {"train": "train.jsonl"}}},
    })  # fmt: skip
    for name, recipe in RECIPES.items():
        if name == "mixlora":
            for family, ffn in {"encoder": ["up", "down"], "decoder": ["gate", "up", "down"]}.items():
                own = {"adapter": {**recipe["adapter"], "targets": ["q", "v", *ffn]}}
                own["gradient_checkpointing"] = family == "decoder"
                _write(folder / f"config/recipes/{name}_{family}.yaml", {**recipe, **own})
        else:
            _write(folder / f"config/recipes/{name}.yaml", recipe)
    shutil.copytree(ROOT / "config/prompts", folder / "config/prompts")
    _write(folder / "config/suites/tiny.yaml", {"title": "Tiny", "sections": ["adue"], "grids": _grids()})


def _grids() -> list[dict]:
    grids = []
    for task, family, name in ASKED:
        of = {"models": [name], "datasets": ["words" if task == "classification" else "words_choice"], "seeds": 1}
        for recipe in ("untuned", "lora", f"mixlora_{family}"):
            adapter = recipe.split("_")[0]
            if (adapter, task) == ("untuned", "classification"):
                continue
            predictives = ["point", *SAMPLED[adapter], *(POSTERIOR if adapter == "lora" else ())]
            predictives += ["tfb-2"] if adapter == "lora" and (task, family, name) == ONE else []
            grids.append({**of, "recipes": [recipe], "predictives": predictives, "scores": ["softmax", "mahalanobis"]})
        if (task, family, name) == ONE:
            samples = {"predictives": ["point", "posterior_samples-2"], "scores": ["softmax"]}
            grids.append({**of, "recipes": list(VARIATIONAL), **samples})
    return grids


def _write(path: Path, content: dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump({"version": 1, **content}))


def _model(folder: Path, name: str, config) -> None:
    """Weights as they are fetched: an encoder's without a classification head, a decoder's with its LM head."""
    family = "encoder" if name in ENCODERS else "decoder"
    config.vocab_size = PIECES if name == "qwen2" else config.vocab_size
    model = build(config, "classification").base_model if family == "encoder" else build(config, "choice")
    files = folder / "material" / name
    model.save_pretrained(files)
    whole = _pieces() if name == "qwen2" else tokenizer(family, [*WORDS, *MORE], config.pad_token_id)
    whole.save_pretrained(files)
    _write(folder / f"config/models/{name}.yaml", {
        "title": name,
        "kind": family,
        "licence": "none",
        "sources": {"local": {"folder": str(files)}},
        "config": {key: getattr(config, key) for key in SIZES},
        "modules": MODULES[name],
        "max_length": 36,
    })  # fmt: skip


def _pieces() -> Qwen2Tokenizer:
    """The same words in pieces of bytes: transformers gives a model of this type no other tokenizer."""
    pieces = Tokenizer(models.BPE())
    pieces.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    words = [word for word in (*WORDS, *MORE) if not word.startswith("[")]
    words += " ".join([*spuq.INSTRUCTIONS, *spuq.SYSTEM]).split()
    trainer = trainers.BpeTrainer(vocab_size=PIECES, special_tokens=["[PAD]", "[SEP]"], show_progress=False)
    pieces.train_from_iterator([f" {word}" for word in words for _ in range(2)], trainer)
    model = json.loads(pieces.to_str())["model"]
    merges = [tuple(merge) for merge in model["merges"]]
    return Qwen2Tokenizer(vocab=model["vocab"], merges=merges, pad_token="[PAD]", eos_token="[SEP]", unk_token="[PAD]")


def _rows(file: Path, n: int) -> None:
    """Sentences with one telling word; every tenth is told wrong."""
    draw, rows = random.Random(0), []
    for i in range(n):
        label = i % len(TELLING)
        telling = list(TELLING.values())[draw.randrange(len(TELLING)) if i % 10 == 0 else label]
        text = [*draw.choices(OTHER, k=draw.randint(2, 6)), draw.choice(telling)]
        draw.shuffle(text)
        rows.append({"text": " ".join(text), "label": label})
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
