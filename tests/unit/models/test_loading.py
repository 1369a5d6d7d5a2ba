"""Weights are the architecture's, tensor by tensor; an adapter is its model's; a tokenizer knows its texts."""

import copy

import pytest
import torch
from peft import get_peft_model_state_dict
from recipes import adapter
from safetensors.torch import load_file, save_file
from tiny import DECODERS, ENCODERS, build

from peftuq.adapters import peft_lora
from peftuq.errors import UserError
from peftuq.models import backbone, encode
from peftuq.models.batching import Encoded

KINDS = {"bert": "classification", "electra": "classification", "llama": "choice", "gemma3": "choice"}


def saved(folder, name: str):
    config = copy.deepcopy((ENCODERS | DECODERS)[name])
    model = build(config, KINDS[name])
    (model.base_model if name in ENCODERS else model).save_pretrained(folder)  # as they are fetched
    return folder


def edit(file, change) -> None:
    weights = load_file(file)
    change(weights)
    save_file(weights, file, {"format": "pt"})


@pytest.mark.parametrize("name", KINDS)
def test_only_a_head_may_be_fresh(tmp_path, name):
    folder = saved(tmp_path, name)
    backbone.load(folder, KINDS[name], 3, torch.float32)
    if KINDS[name] == "choice":
        backbone.load(folder, "classification", 3, torch.float32)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("change, word", [
    (lambda w, k: w.pop(k), "lack"),
    (lambda w, k: w.update({k.replace(".0.", ".9."): w[k].clone()}), "beyond"),
    (lambda w, k: w.update({f"{k}x": w.pop(k)}), "lack"),
    (lambda w, k: w.update({k: torch.zeros(3)}), "cannot load|misshape"),
])  # fmt: skip
def test_weights_that_are_not_the_architectures_are_refused(tmp_path, name, change, word):
    folder = saved(tmp_path, name)
    edit(folder / "model.safetensors", lambda w: change(w, next(k for k in sorted(w) if ".0." in k)))
    with pytest.raises(UserError, match=word) as raised:
        backbone.load(folder, KINDS[name], 3, torch.float32)
    assert "\n" not in str(raised.value) and str(folder) in str(raised.value)


def test_an_adapter_of_another_model_is_refused(tmp_path):
    def model():
        return build(copy.deepcopy(DECODERS["llama"]), "choice")

    adapted = peft_lora.attach(model(), {"q": "q_proj"}, adapter(targets=["q"], dropout=0.0), "choice")
    adapted.save_pretrained(tmp_path)
    loaded = get_peft_model_state_dict(peft_lora.load(model(), tmp_path))
    assert all(torch.equal(tensor, loaded[name]) for name, tensor in get_peft_model_state_dict(adapted).items())
    edit(tmp_path / "adapter_model.safetensors", lambda w: w.pop(sorted(w)[0]))
    with pytest.raises(UserError, match="adapter lacks"):
        peft_lora.load(model(), tmp_path)


def test_a_folder_without_tokenizer_files_is_refused(tmp_path):
    with pytest.raises(UserError, match="has no tokenizer"):
        backbone.tokenizer(tmp_path)


def test_a_split_that_the_tokenizer_does_not_know_is_refused():
    class Tokenizer:
        unk_token_id, pad_token_id, eos_token_id, name_or_path = 3, 0, None, "the/folder"

    def split(unknown: int) -> Encoded:
        return Encoded(None, None, [[1] * (10 - unknown) + [3] * unknown], None)

    encode._check_known(Tokenizer, split(2), "data/train.parquet")
    with pytest.raises(UserError, match=r"data/train.parquet: 30% .*the/folder"):
        encode._check_known(Tokenizer, split(3), "data/train.parquet")


@pytest.mark.parametrize("name", ["adapter_config.json", "adapter_model.safetensors"])
@pytest.mark.parametrize("content", [None, b"", bytes(range(256)), b"[]", b"{}", b'{"peft_type": "NONE"}'])
def test_an_adapters_file_that_is_none(tmp_path, name, content):
    hf = build(copy.deepcopy(DECODERS["llama"]), "choice")
    peft_lora.attach(hf, {"q": "q_proj"}, adapter(targets=["q"], dropout=0.0), "choice").save_pretrained(tmp_path)
    (tmp_path / name).unlink()
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=rf"{name}.*run again") as raised:
        peft_lora.load(build(copy.deepcopy(DECODERS["llama"]), "choice"), tmp_path)
    assert "\n" not in str(raised.value)


def test_an_adapter_that_is_no_number(tmp_path):
    hf = build(copy.deepcopy(DECODERS["llama"]), "choice")
    peft_lora.attach(hf, {"q": "q_proj"}, adapter(targets=["q"], dropout=0.0), "choice").save_pretrained(tmp_path)
    edit(tmp_path / "adapter_model.safetensors", lambda w: w[min(w)].view(-1).__setitem__(0, float("nan")))
    with pytest.raises(UserError, match=r"adapter_model\.safetensors: .*lora_A.* holds NaN"):
        peft_lora.load(build(copy.deepcopy(DECODERS["llama"]), "choice"), tmp_path)
