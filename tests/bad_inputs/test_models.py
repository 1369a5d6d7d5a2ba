"""A model's folder may hold anything: its files are looked at where a run is planned, and where it is loaded."""

import copy
import json
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from recipes import task
from safetensors.torch import load_file, save_file

sys.path.insert(0, str(Path(__file__).parents[1] / "unit/models"))
from tiny import DECODERS, ENCODERS, build

from peftuq import files
from peftuq.adapters.adapted import Adapted
from peftuq.config.local import check_model
from peftuq.config.schema import Model
from peftuq.data.model_files import ModelFolder
from peftuq.errors import UserError
from peftuq.models import backbone, convert

SIZES = ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *"abcdefgh"]
PLAIN = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
TOKENIZER = {
    "version": "1.0",
    "added_tokens": [{"id": 99, "content": "<image>", **PLAIN}],  # a model need not have a row for it
    "model": {
        "type": "WordLevel",
        "unk_token": "[UNK]",
        "vocab": {w: i for i, w in enumerate(WORDS)} | {"<image>": 99},
    },
}


@pytest.fixture(scope="module")
def pristine(tmp_path_factory):
    """An encoder's folder as it is fetched: its body alone, in one file of weights."""
    folder = tmp_path_factory.mktemp("pristine")
    build(copy.deepcopy(ENCODERS["bert"]), "classification").base_model.save_pretrained(folder)
    (folder / "tokenizer.json").write_text(json.dumps(TOKENIZER))
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast"}))
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    return folder


@pytest.fixture
def folder(pristine, tmp_path):
    return shutil.copytree(pristine, tmp_path / "model")


def described(folder, **changes) -> Model:
    """The model's file, as its user writes it."""
    sizes = {name: getattr(ENCODERS["bert"], name) for name in SIZES}
    return Model(
        version=1,
        title="x",
        kind="encoder",
        licence="none",
        sources={"local": {"folder": str(folder)}},
        config={"model_type": "bert", **sizes, **changes},
        modules={"q": "query"},
        max_length=40,
    )


def planned(folder, **changes) -> str:
    """What planning says of a folder."""
    with pytest.raises(UserError) as raised:
        check_model(folder, described(folder, **changes), "config/models/x.yaml: sources.local")
    return one_line(raised)


def loaded(folder, kind: str = "classification") -> str:
    """What the first job that loads a folder says of it, before it computes anything."""
    with pytest.raises(UserError) as raised:
        backbone.load(folder, kind, 3, torch.float32)
        backbone.tokenizer(folder)
    return one_line(raised)


def one_line(raised) -> str:
    said = str(raised.value)
    assert "\n" not in said and len(said) < 2000
    return said


def change(file: Path, **keys) -> None:
    content = json.loads(file.read_text())
    file.write_text(json.dumps({name: value for name, value in {**content, **keys}.items() if value is not None}))


def test_a_sound_folder_is_planned_and_loaded(folder):
    (folder / "README.md").write_bytes(bytes(range(256)))  # nobody reads it
    check_model(folder, described(folder), "")
    model = backbone.load(folder, "classification", 3, torch.float32)
    assert backbone.Limits.of(model) == (60, 40)


def test_a_byte_order_mark_is_no_mistake(folder):
    file = folder / "config.json"
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    check_model(folder, described(folder), "")


# -- every file: class × place -----------------------------------------------------------------------------

MANGLED = {
    "gone": None,
    "a folder": "folder",
    "empty": lambda content: b"",
    "binary": lambda content: bytes(range(256)) * 9,
    "truncated": lambda content: content[: len(content) // 2],
    "utf-16": lambda content: "{}".encode("utf-16"),
    "list": lambda content: b"[]",
    "deep": lambda content: b"[" * 100_000,
    "a page of the web": lambda content: b"<!DOCTYPE html><title>404</title>",
    "a pointer to large storage": lambda content: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
}
FILES = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")
OPTIONAL = {("tokenizer_config.json", kind) for kind in ("gone", "a folder")} | {("tokenizer.json", "gone")}
PLANNED_ANYWAY = {("tokenizer.json", "a folder")}  # vocab.txt stands in for it


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("kind", MANGLED)
def test_a_mangled_file(folder, count, name, kind):
    if (name, kind) in OPTIONAL | PLANNED_ANYWAY:
        pytest.skip("no mistake")
    file, mangle = folder / name, MANGLED[kind]
    content = file.read_bytes()
    file.unlink()
    if mangle == "folder":
        file.mkdir()
    elif mangle is not None:
        file.write_bytes(mangle(content))
    assert name in planned(folder) and name in loaded(folder)
    count("model folder: mangled file")


@pytest.mark.parametrize("name", ["vocab.txt", "vocab.json", "special_tokens_map.json", "added_tokens.json"])
@pytest.mark.parametrize("kind", ["empty", "binary", "utf-16"])
def test_a_mangled_vocabulary(folder, count, name, kind):
    (folder / name).write_bytes(MANGLED[kind](b""))
    assert name in planned(folder) and name in loaded(folder)
    count("model folder: mangled file")


SHARD = "model-00001-of-00002.safetensors"
INDEXES = {
    "empty": b"",
    "truncated": b'{"weight_map": {',
    "list": b"[]",
    "no map": b"{}",
    "an empty map": b'{"weight_map": {}}',
    "a map of numbers": b'{"weight_map": {"a": 1}}',
    "a shard that is gone": b'{"weight_map": {"a": "gone.safetensors"}}',
    "a shard out of the folder": b'{"weight_map": {"a": "../model.safetensors"}}',
    "a truncated shard": json.dumps({"weight_map": {"a": SHARD}}).encode(),
}


@pytest.mark.parametrize("kind", INDEXES)
def test_a_mangled_index(folder, count, kind):
    weights = folder / "model.safetensors"
    (folder / SHARD).write_bytes(weights.read_bytes()[:-9])
    weights.unlink()
    (folder / "model.safetensors.index.json").write_bytes(INDEXES[kind])
    for said in (planned(folder), loaded(folder)):
        assert ("model.safetensors.index.json" if kind != "a truncated shard" else SHARD) in said
    count("model folder: mangled file")


# -- files that are sound, and do not fit ------------------------------------------------------------------

CONFIGS = {
    "no type": ({"model_type": None}, "model_type is missing"),
    "a type of a number": ({"model_type": 3}, "model_type is missing"),
    "another type": ({"model_type": "llama"}, "model_type is 'llama'"),
    "another width": ({"hidden_size": 32}, "hidden_size is 32"),
    "more layers": ({"num_hidden_layers": 9}, "num_hidden_layers is 9"),
    "code of its own": ({"auto_map": {"AutoModel": "x.Model"}}, "auto_map"),
}


@pytest.mark.parametrize("kind", CONFIGS)
def test_a_configuration_of_another_model(folder, count, kind):
    keys, words = CONFIGS[kind]
    change(folder / "config.json", **keys)
    said = planned(folder)
    assert words in said and "config.json" in said and "config/models/x.yaml" in said
    assert str(folder) in loaded(folder)
    count("model folder: files that do not fit")


@pytest.mark.parametrize("name, content, words", [
    ("tokenizer.json", {**TOKENIZER, "model": {"vocab": {"a": 0, "b": 60}}}, "up to id 60"),
    ("tokenizer.json", {**TOKENIZER, "model": {"vocab": [["a", -1.0]] * 61}}, "up to id 60"),
    ("tokenizer.json", {**TOKENIZER, "model": {"vocab": {"a": "b"}}}, "a number"),
    ("tokenizer.json", {**TOKENIZER, "model": {}}, "vocab is missing"),
    ("tokenizer.json", {**TOKENIZER, "model": []}, "vocab is missing"),
    ("vocab.json", {f"w{i}": i for i in range(61)}, "up to id 60"),
    ("tokenizer_config.json", {"auto_map": {"AutoTokenizer": ["x.T", None]}}, "auto_map"),
])  # fmt: skip
def test_a_tokenizer_of_another_model(folder, count, name, content, words):
    (folder / name).write_text(json.dumps(content))
    said = planned(folder)
    assert words in said and name in said
    count("model folder: files that do not fit")


@pytest.mark.parametrize("names", [
    ["config.json", "model.safetensors"], ["config.json", "tokenizer.json"], ["tokenizer.json", "model.safetensors"],
])  # fmt: skip
def test_a_source_that_leaves_files_out(folder, count, names):
    with pytest.raises(UserError, match=r"no tokenizer|no weights|config\.json"):
        ModelFolder.of(folder, "…", names).check()
    count("model folder: files that do not fit")


@pytest.mark.parametrize("changes", [
    {"max_position_embeddings": 39},
    {"model_type": "roberta", "max_position_embeddings": 41},  # two of them are the padding's
    {"model_type": "mpnet", "max_position_embeddings": 42, "pad_token_id": 2},
])  # fmt: skip
def test_more_tokens_than_positions(tmp_path, count, changes):
    with pytest.raises(ValueError, match=r"max_length: must be at most 39, by config\.max_position_embeddings"):
        described(tmp_path, **changes)
    count("model folder: files that do not fit")


# -- what only the weights or the texts show ----------------------------------------------------------------


def edit(folder, change) -> None:
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors", {"format": "pt"})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("name", ["embeddings.word_embeddings.weight", "encoder.layer.1.output.dense.bias"])
def test_weights_that_are_no_numbers(folder, count, value, name):
    edit(folder, lambda weights: weights[name].view(-1).__setitem__(-1, value))
    check_model(folder, described(folder), "")
    said = loaded(folder)
    assert name in said and "NaN or infinite" in said and str(folder) in said and "lr" not in said.split()
    count("model folder: weights")


@pytest.mark.parametrize("kind", ["classification", "choice"])
def test_a_sum_of_sound_weights_may_overflow(folder, kind):
    edit(folder, lambda weights: weights["encoder.layer.1.output.dense.weight"].fill_(3e38))
    backbone.load(folder, "classification", 3, torch.float32)


def test_a_head_of_other_classes(tmp_path, count):
    build(copy.deepcopy(ENCODERS["bert"]), "classification", classes=5).save_pretrained(tmp_path)
    said = loaded(tmp_path)
    assert "classifier" in said and "the task has 3" in said and "without its head" in said
    count("model folder: weights")


@pytest.mark.parametrize("name", ["bert", "roberta", "mpnet", "llama", "gemma3"])
@pytest.mark.parametrize("tokens, words", [([2] * 41, "41 tokens"), ([2, 60], "the token 60, and the embedding 60")])
def test_texts_beyond_the_model(count, name, tokens, words):
    model = build(copy.deepcopy((ENCODERS | DECODERS)[name]), "classification")
    limits = backbone.Limits.of(model)
    assert limits.positions == {"roberta": 38, "mpnet": 38}.get(name, 40)
    sound = [2] * limits.positions
    limits.check([[], sound, [59]], "data/x.parquet")
    with pytest.raises(UserError, match=rf"^data/x\.parquet: .*{words}"):
        limits.check([sound, tokens], "data/x.parquet")
    with torch.inference_mode():  # that is where the model ends, and not before
        model.base_model(input_ids=torch.tensor([sound]))
        if name not in ("llama", "gemma3") or tokens[-1] == 60:  # rotations have no table that would end
            with pytest.raises((IndexError, RuntimeError)):
                model.base_model(input_ids=torch.tensor([tokens]))
    count("model folder: texts beyond it")


def test_a_split_with_a_token_beyond_the_model(folder, tmp_path, count):
    split = tmp_path / "valid.parquet"
    files.write_columns(split, {"id": np.arange(1), "label": np.zeros(1, int), "text": ["a b c d <image>"]})
    change(folder / "tokenizer_config.json", pad_token="[PAD]")
    tokenizer, model = backbone.tokenizer(folder), backbone.load(folder, "classification", 4, torch.float32)
    adapted = Adapted(SimpleNamespace(hf=model), tokenizer, task("classification"), torch.float32, print, None)
    with pytest.raises(UserError, match=rf"^{split}: .*the token 99, and the embedding 60"):
        adapted.read(["valid"], [split])
    count("model folder: texts beyond it")


def test_no_token_to_pad_with(folder, count):
    assert "tokenizer_config.json: neither pad_token nor eos_token" in loaded(folder)
    change(folder / "tokenizer_config.json", eos_token="[SEP]", unk_token="[UNK]")
    assert backbone.tokenizer(folder).pad_token == "[SEP]"
    count("model folder: files that do not fit")


PICKLES = {"empty": b"", "binary": bytes(range(256)), "text": b"no weights"}


@pytest.mark.parametrize("kind", [*PICKLES, "a number", "names of numbers"])
def test_older_weights_that_cannot_be_read(tmp_path, count, kind):
    file = tmp_path / "pytorch_model.bin"
    if kind in PICKLES:
        file.write_bytes(PICKLES[kind])
    else:
        torch.save(3 if kind == "a number" else {"a": 3}, file)
    with pytest.raises(UserError, match=r"^pytorch_model\.bin: .*: correct the model's source") as raised:
        convert.from_torch(tmp_path)
    one_line(raised)
    count("model folder: mangled file")


@pytest.mark.parametrize("content", [b"", bytes(range(256)), b"GGUF", b"GGUF\x03\0\0\0"])
def test_a_gguf_file_that_is_none(tmp_path, count, content):
    (tmp_path / "x.gguf").write_bytes(content)
    with pytest.raises(UserError, match=r"^x\.gguf: .*the key gguf") as raised:
        convert.from_gguf(tmp_path, "x.gguf")
    one_line(raised)
    count("model folder: mangled file")
