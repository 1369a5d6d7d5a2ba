"""Adapters on the models of `config/models`: the right layers, the closed-form sizes, plain PEFT files.

The 7B models are built without storage, from the configuration their file carries.
"""

from pathlib import Path

import pytest
import torch
from closed_forms import lora_parameters
from peft import PeftModel
from recipes import adapter
from tiny import DECODERS, ENCODERS, build
from transformers import AutoConfig, masking_utils

from peftuq import integrity
from peftuq.adapters import peft_lora
from peftuq.config import load
from peftuq.errors import UserError
from peftuq.models import backbone
from peftuq.models.readout import ReadOut
from peftuq.planning import cost

CONFIG = Path(__file__).parents[3] / "config"
MODELS = load.models(CONFIG)
QKV = adapter(targets=["q", "k", "v"], rank=8, alpha=16, dropout=0.05)
ALL = adapter(targets=["q", "k", "v", "o", "gate", "up", "down"], rank=80, alpha=16, dropout=0.05)


def on_meta(name: str, kind: str):
    model = MODELS.get(name, "model", "")
    config = dict(model.config)
    return model, backbone.on_meta(AutoConfig.for_model(config.pop("model_type"), **config), kind, 5)


@pytest.mark.parametrize("name", MODELS.names)
def test_attaches_to_q_k_v_of_every_layer_and_nothing_else(name):
    model, hf = on_meta(name, "classification")
    depth = hf.config.num_hidden_layers
    peft = peft_lora.attach(hf, model.modules, QKV, "classification")
    adapted = [n for n, m in peft.named_modules() if hasattr(m, "lora_A") and "default" in m.lora_A]
    assert len(adapted) == 3 * depth
    assert all(
        n.split(".")[-1] in {"q", "k", "v", "query", "key", "value", "q_proj", "k_proj", "v_proj"} for n in adapted
    )
    shape = cost.Shape.of(model.config)
    adapter = sum(p.numel() for n, p in peft_lora.trainable(peft).items() if "lora_" in n)
    assert adapter == lora_parameters(shape, QKV.targets, 8)
    head = sum(p.numel() for n, p in peft_lora.trainable(peft).items() if "lora_" not in n)
    d = shape.hidden
    assert head == (5 * d if model.kind == "decoder" else d * d + d + 5 * d + 5)


@pytest.mark.parametrize("name", [n for n in MODELS.names if MODELS.get(n, "", "").kind == "decoder"])
def test_all_linear_layers_have_the_closed_form_size(name):
    model, hf = on_meta(name, "choice")
    peft = peft_lora.attach(hf, model.modules, ALL, "choice")
    shape = cost.Shape.of(model.config)
    assert peft_lora.count_parameters(peft)["trainable"] == lora_parameters(shape, ALL.targets, 80)
    assert all(n.startswith("base_model") and "lora_" in n for n in peft_lora.trainable(peft))
    whole = peft_lora.count_parameters(peft)["all"] - peft_lora.count_parameters(peft)["trainable"]
    untied = 0 if model.config.get("tie_word_embeddings") else shape.vocabulary * shape.hidden
    assert shape.weights + untied == pytest.approx(whole, rel=0.005)


@pytest.mark.parametrize("name", ["llama2_7b", "qwen2.5_7b", "mistral_7b"])
def test_read_out_of_a_7b_model_has_the_right_shapes(name, monkeypatch):
    # The only value-dependent step of the masks: whether positions restart within a row. They never do here.
    monkeypatch.setattr(masking_utils, "find_packed_sequence_indices", lambda *_: None)
    model, hf = on_meta(name, "choice")
    peft = peft_lora.attach(hf, model.modules, QKV, "choice")
    read_out = ReadOut(peft, hf, [10, 11, 12, 13]).to("meta").eval()
    ids = torch.zeros((2, 9), dtype=torch.long, device="meta")
    output = read_out(ids, torch.tensor([9, 4], device="meta"), torch.tensor([4, 3], device="meta"))
    assert output.logits.shape == (2, 4) and output.h.shape == (2, model.config["hidden_size"])
    assert output.logits.dtype == torch.float32 and output.logsumexp.shape == (2,)


@pytest.mark.parametrize("name", ["minilm", "mpnet", "smollm2"])
def test_top_layers_adapts_the_last_ones(name):
    model, hf = on_meta(name, "classification")
    peft = peft_lora.attach(hf, model.modules, adapter(top_layers=2), "classification")
    depth = hf.config.num_hidden_layers
    layers = {int(part) for n, _ in peft.named_modules() if "lora_A" in n for part in n.split(".") if part.isdigit()}
    assert layers == {depth - 2, depth - 1}


def test_unknown_role_names_the_key():
    model = build(ENCODERS["bert"], "classification")
    with pytest.raises(UserError, match=r"modules\.gate"):
        peft_lora.attach(model, {"q": "query"}, adapter(targets=["gate"]), "classification")


@pytest.mark.parametrize("config, kind, roles", [
    (ENCODERS["roberta"], "classification", ("query", "key", "value")),
    (ENCODERS["bert"], "classification", ("query", "key", "value")),
    (DECODERS["llama"], "classification", ("q_proj", "k_proj", "v_proj")),
    (DECODERS["llama"], "choice", ("q_proj", "k_proj", "v_proj")),
])  # fmt: skip
def test_saved_adapter_loads_through_plain_peft(tmp_path, config, kind, roles):
    modules = dict(zip("qkv", roles, strict=True))
    trained = build(config, kind)
    peft = peft_lora.attach(trained, modules, QKV, kind)
    for parameter in peft_lora.trainable(peft).values():
        torch.nn.init.normal_(parameter)
    peft.save_pretrained(tmp_path)
    assert (tmp_path / "adapter_model.safetensors").is_file() and not list(tmp_path.glob("*.bin"))
    for file in tmp_path.iterdir():  # as a job leaves them
        integrity.embed(file, integrity.Identity(file.name, integrity.Made("0" * 16, "0" * 16, "0" * 16)))
    loaded = PeftModel.from_pretrained(build(config, kind), tmp_path).eval()
    ids = torch.randint(5, 60, (2, 6))
    torch.testing.assert_close(loaded(input_ids=ids).logits, peft.eval()(input_ids=ids).logits)


def test_incomplete_adapter_is_a_users_error(tmp_path):
    with pytest.raises(UserError, match=r"adapter_config\.json: there is no such file: .*delete the adapter's folder"):
        peft_lora.load(build(ENCODERS["bert"], "classification"), tmp_path)
