"""MixLoRA as a PEFT method: registered once, attached to every architecture, saved and loaded by plain PEFT."""

from pathlib import Path

import peft
import pytest
import torch
from closed_forms import mixlora_parameters
from peft import PeftModel, get_peft_model
from peft.utils import PeftType
from recipes import adapter
from tiny import DECODERS, ENCODERS, build
from torch import nn
from transformers import AutoConfig, masking_utils

from peftuq import integrity
from peftuq.adapters import peft_lora
from peftuq.adapters.mixlora import register
from peftuq.adapters.mixlora.attach import attach
from peftuq.adapters.mixlora.config import MixLoraConfig
from peftuq.adapters.mixlora.layers import ExpertFFN, ExpertLinear
from peftuq.adapters.mixlora.routing_statistics import record
from peftuq.config import load
from peftuq.config.recipe import Adapter
from peftuq.errors import UserError
from peftuq.models import backbone
from peftuq.models.readout import ReadOut
from peftuq.planning import cost

ROOT = Path(__file__).parents[3]
MODELS = load.models(ROOT / "config")
LENGTHS = torch.tensor([7, 3, 5])
DECODER = {role: f"{role}_proj" for role in ("q", "k", "v", "o", "gate", "up", "down")}
BERT = {"q": "query", "k": "key", "v": "value", "o": r"attention\.output\.dense"}
MPNET = {role: rf"attn\.{role}" for role in ("q", "k", "v", "o")}
FFN = {"up": r"intermediate\.dense", "down": r"\d+\.output\.dense"}
FAMILIES = [(name, config, DECODER) for name, config in DECODERS.items()]
FAMILIES += [(name, config, (MPNET if name == "mpnet" else BERT) | FFN) for name, config in ENCODERS.items()]


def mixture(modules: dict[str, str], **changes) -> Adapter:
    return adapter(**{"targets": list(modules), "mixture": {}, **changes})


def tokens(pad: int) -> torch.Tensor:
    ids = torch.randint(5, 60, (3, 7), generator=torch.Generator().manual_seed(1))
    return ids.masked_fill(torch.arange(7) >= LENGTHS[:, None], pad)


def randomise(model: nn.Module) -> None:
    torch.manual_seed(4)
    for parameter in peft_lora.trainable(model).values():
        nn.init.normal_(parameter, std=0.3)


def on_meta(name: str, kind: str):
    model = MODELS.get(name, "model", "")
    config = dict(model.config)
    return model, backbone.on_meta(AutoConfig.for_model(config.pop("model_type"), **config), kind, 5)


# -- registration ---------------------------------------------------------------------------------------


def test_is_a_peft_method_once():
    before = list(PeftType)
    register.register()
    assert list(PeftType) == before and before.count("MIXLORA") == 1
    assert PeftType.MIXLORA is PeftType("MIXLORA") is PeftType["MIXLORA"]
    assert MixLoraConfig().peft_type is PeftType.MIXLORA and PeftType.LORA.value == "LORA"


def test_other_peft_series_are_refused():
    assert peft.__version__.startswith(register.SERIES)
    with pytest.raises(UserError, match=r"^peft 0\.22\.0: .*install peft~=0\.21"):
        register.register("0.22.0")


def test_one_place_touches_the_enumeration():
    touching = [path.name for path in (ROOT / "src").rglob("*.py") if "_member_map_" in path.read_text()]
    assert touching == ["register.py"]


# -- attaching ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("places", [["ffn"], ["attention", "ffn"]])
@pytest.mark.parametrize("name, config, modules", FAMILIES, ids=[f[0] for f in FAMILIES])
def test_every_architecture_starts_as_its_backbone_and_saves(tmp_path, name, config, modules, places):
    hf = build(config, "classification")
    ids, mask = tokens(hf.config.pad_token_id), (torch.arange(7) < LENGTHS[:, None]).long()
    backbone_says = hf(input_ids=ids, attention_mask=mask).logits
    adapted = attach(hf, modules, mixture(modules, mixture={"experts_at": places}), "classification").eval()
    torch.testing.assert_close(adapted(input_ids=ids, attention_mask=mask).logits, backbone_says, rtol=0, atol=1e-4)
    layers = [type(m) for m in adapted.modules() if isinstance(m, (ExpertFFN, ExpertLinear))]
    whole, linear = layers.count(ExpertFFN), layers.count(ExpertLinear)
    attention = 4 if "attention" in places else 0
    assert (whole, linear) == ((2, 2 * attention) if name in DECODERS else (0, 2 * (2 + attention)))

    randomise(adapted)
    with record(adapted) as routing:
        logits = adapted(input_ids=ids, attention_mask=mask).logits
    assert routing.flu(LENGTHS).shape == (3, 2, 2) and (logits - backbone_says).abs().max() > 1e-2
    adapted.save_pretrained(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} >= {"adapter_model.safetensors", "adapter_config.json"}
    assert not list(tmp_path.glob("*.bin"))
    for file in tmp_path.iterdir():  # as a job leaves them
        integrity.embed(file, integrity.Identity(file.name, integrity.Made("0" * 16, "0" * 16, "0" * 16)))
    loaded = PeftModel.from_pretrained(build(config, "classification", seed=0), tmp_path).eval()
    assert torch.equal(loaded(input_ids=ids, attention_mask=mask).logits, logits)


def test_loads_under_any_name_and_beside_another(tmp_path):
    ids = tokens(0)
    for seed in (0, 1):
        adapted = attach(build(DECODERS["llama"], "choice"), DECODER, mixture(DECODER), "choice").eval()
        randomise(adapted)
        for parameter in peft_lora.trainable(adapted).values():
            parameter.data.mul_(1 + seed)
        adapted.save_pretrained(tmp_path / str(seed))
        expected = adapted(input_ids=ids).logits if seed else None
    both = PeftModel.from_pretrained(build(DECODERS["llama"], "choice"), tmp_path / "0", adapter_name="first")
    both.load_adapter(tmp_path / "1", "second")
    both.set_adapter("second")
    torch.testing.assert_close(both.eval()(input_ids=ids).logits, expected, rtol=0, atol=0)
    both.delete_adapter("first")
    torch.testing.assert_close(both(input_ids=ids).logits, expected, rtol=0, atol=0)


def test_trains_experts_routers_and_head_and_nothing_else():
    hf = build(ENCODERS["roberta"], "classification")
    adapted = attach(hf, BERT | FFN, mixture(BERT | FFN), "classification").train()
    frozen = {name: p.clone() for name, p in adapted.named_parameters() if not p.requires_grad}
    before = {name: p.clone() for name, p in peft_lora.trainable(adapted).items()}
    assert {name.split(".")[-2] for name in before if "lora" in name} == {
        "mixlora_A_linear", "mixlora_B_linear", "mixlora_router", "default",
    }  # fmt: skip
    assert all(p.dtype == torch.float32 for p in before.values())
    model = ReadOut(adapted, hf)
    optimiser = torch.optim.AdamW(peft_lora.trainable(adapted).values(), lr=0.01)
    for _ in range(2):  # B starts at 0: in the first step nothing reaches A or the router
        optimiser.zero_grad()
        nn.functional.cross_entropy(model(tokens(1), LENGTHS).logits, torch.tensor([0, 1, 2])).backward()
        optimiser.step()
    assert all(not torch.equal(p, before[name]) for name, p in peft_lora.trainable(adapted).items())
    assert all(torch.equal(p, frozen[name]) for name, p in adapted.named_parameters() if name in frozen)


def test_disabled_adapter_is_the_backbone():
    hf, ids = build(DECODERS["qwen2"], "choice"), tokens(0)
    expected = hf(input_ids=ids).logits
    adapted = attach(hf, DECODER, mixture(DECODER, mixture={"experts_at": ["attention", "ffn"]}), "choice").eval()
    randomise(adapted)
    with adapted.disable_adapter():
        torch.testing.assert_close(adapted(input_ids=ids).logits, expected, rtol=0, atol=0)
    assert (adapted(input_ids=ids).logits - expected).abs().max() > 1e-2
    torch.testing.assert_close(adapted.unload()(input_ids=ids).logits, expected, rtol=0, atol=0)


@pytest.mark.parametrize("merge", ["merge_and_unload", "merge_adapter"])
def test_experts_cannot_be_merged_and_nothing_else_is(merge):
    ids, adapted = tokens(0), attach(build(DECODERS["llama"], "choice"), DECODER, mixture(DECODER), "choice").eval()
    randomise(adapted)
    before = adapted(input_ids=ids).logits
    with pytest.raises(ValueError, match=r"cannot be merged .* depends on the token"):
        getattr(adapted, merge)()
    assert torch.equal(adapted(input_ids=ids).logits, before) and not adapted.get_layer_status()[0].merged_adapters
    with pytest.raises(ValueError, match=r"cannot be merged"):
        adapted.get_submodule("base_model.model.model.layers.0.mlp").merge()


def test_without_experts_it_merges_as_lora_does():
    ids = tokens(0)
    adapted = attach(
        build(DECODERS["llama"], "choice"), DECODER, mixture(DECODER, mixture={"experts_at": []}), "choice"
    ).eval()
    randomise(adapted)
    expected = adapted(input_ids=ids).logits
    torch.testing.assert_close(adapted.merge_and_unload()(input_ids=ids).logits, expected, rtol=1e-4, atol=1e-4)


def test_top_layers_adapts_the_last_ones():
    adapted = attach(build(DECODERS["gemma3"], "choice"), DECODER, mixture(DECODER, top_layers=1), "choice")
    assert all("layers.1." in name for name in peft_lora.trainable(adapted))
    assert any("layers.1.mlp.mixlora_router" in name for name in peft_lora.trainable(adapted))


def test_half_a_gated_ffn_is_a_users_error():
    targets = mixture(DECODER, targets=["q", "up", "down"])
    with pytest.raises(UserError, match=r"adapter\.targets .* gate, up and down"):
        attach(build(DECODERS["llama"], "choice"), DECODER, targets, "choice")


def test_same_seed_same_adapter():
    states = []
    for _ in range(2):
        model = build(DECODERS["llama"], "choice")
        torch.manual_seed(9)
        states.append(peft_lora.trainable(attach(model, DECODER, mixture(DECODER), "choice")))
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    routers = torch.cat([p.flatten() for name, p in states[0].items() if "router" in name])
    assert 0.015 < routers.std() < 0.025


# -- sizes, without storage -----------------------------------------------------------------------------


SIZES = [(name, ["attention", "ffn"]) for name in MODELS.names] + [
    ("llama2_7b", ["ffn"]), ("gemma3", ["attention"]), ("roberta", ["ffn"]), ("mpnet", []),
]  # fmt: skip


@pytest.mark.parametrize("name, places", SIZES, ids=lambda value: value if isinstance(value, str) else "+".join(value))
def test_closed_form_size(name, places):
    model, hf = on_meta(name, "classification")
    sizes = mixture(model.modules, rank=16, mixture={"experts": 8, "experts_at": places})
    adapted = attach(hf, model.modules, sizes, "classification")
    counted = sum(p.numel() for name, p in peft_lora.trainable(adapted).items() if "lora_" in name)
    assert counted == mixlora_parameters(cost.Shape.of(model.config), sizes.targets, 16, 8, places)


def test_the_papers_adapter_has_its_size():
    """LLaMA-2-7B, 8 experts of rank 16 on the FFN and LoRA of rank 16 on q, k, v, o (UQ4CT A.6)."""
    shape, d, m = cost.Shape.of(MODELS.get("llama2_7b", "model", "").config), 4096, 11008
    block = 8 * 16 * 3 * (d + m) + 8 * d + 4 * 16 * 2 * d
    assert mixlora_parameters(shape, list(DECODER), 16, 8, ["ffn"]) == 32 * block
    assert mixlora_parameters(shape, list(DECODER), 16, 8, ["ffn"], top_layers=2) == 2 * block


@pytest.mark.parametrize("name", ["llama2_7b", "qwen2.5_7b", "mistral_7b"])
def test_a_7b_model_has_the_right_shapes(name, monkeypatch):
    # The only value-dependent step of the masks: whether positions restart within a row. They never do here.
    monkeypatch.setattr(masking_utils, "find_packed_sequence_indices", lambda *_: None)
    model, hf = on_meta(name, "choice")
    adapted = attach(hf, model.modules, mixture(model.modules, experts=8), "choice")
    read_out = ReadOut(adapted, hf, [10, 11, 12, 13]).to("meta").eval()
    ids, lengths = torch.zeros((2, 9), dtype=torch.long, device="meta"), torch.tensor([9, 4], device="meta")
    with record(adapted) as routing:
        assert read_out(ids, lengths).logits.shape == (2, 4)
    assert routing.flu(lengths).shape == (2, model.config["num_hidden_layers"], 2)


def test_get_peft_model_takes_patterns_directly():
    config = MixLoraConfig(r=2, num_experts=3, ffn_modules=r".*\.1\.mlp", target_modules=r".*\.q_proj")
    adapted = get_peft_model(build(DECODERS["mistral"], "choice"), config)
    kinds = {name.split(".")[-1]: type(m).__name__ for name, m in adapted.named_modules() if hasattr(m, "base_layer")}
    assert kinds == {"q_proj": "Linear", "mlp": "ExpertFFN"}
