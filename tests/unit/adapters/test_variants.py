"""DoRA and rank-stabilised LoRA: what is attached, computed while training, saved and loaded again."""

import pytest
import torch
from recipes import adapter
from test_readout import LENGTHS, tokens
from tiny import DECODERS, build

from peftuq.adapters import dora, lora, rslora
from peftuq.adapters.peft_lora import trainable

ROLES = {"q": "q_proj", "v": "v_proj"}


def adapted(module, rank: int = 4):
    hf = build(DECODERS["llama"], "choice")
    how = adapter(rank=rank, alpha=8, dropout=0.0)
    model = module.read_out(module.attach(hf, ROLES, how, "choice"), hf, [11, 7, 9], None)
    with torch.no_grad():
        for name, parameter in trainable(model).items():
            generator = torch.Generator().manual_seed(len(name))
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.1)
    return model


@pytest.mark.parametrize("module", [dora, rslora])
def test_training_and_evaluation_compute_the_same_and_survive_storage(tmp_path, module):
    model = adapted(module)
    trained = model.train()(tokens(0), LENGTHS).logits
    kept = model.eval()(tokens(0), LENGTHS).logits
    torch.testing.assert_close(trained, kept)
    model.model.save_pretrained(tmp_path, save_embedding_layers=False)
    hf = build(DECODERS["llama"], "choice")
    again = module.read_out(module.load(hf, tmp_path), hf, [11, 7, 9], None).eval()
    assert torch.equal(again(tokens(0), LENGTHS).logits, kept)


def test_dora_scales_the_directions_of_the_adapted_weight_to_its_magnitudes():
    model = adapted(dora).eval()
    layer = model.hf.model.layers[0].self_attn.q_proj
    x = torch.randn(5, 16)
    weight = layer.base_layer.weight + layer.scaling["default"] * (
        layer.lora_B["default"].weight @ layer.lora_A["default"].weight
    )
    magnitude = layer.lora_magnitude_vector["default"].weight
    assert magnitude.requires_grad and (magnitude - layer.base_layer.weight.norm(dim=1)).abs().max() > 1e-3
    torch.testing.assert_close(layer(x), x @ (magnitude[:, None] * weight / weight.norm(dim=1, keepdim=True)).T)


def test_rank_stabilised_lora_is_lora_of_a_larger_scale():
    layers = [adapted(module).hf.model.layers[0].self_attn.q_proj for module in (lora, rslora)]
    assert [layer.scaling["default"] for layer in layers] == [2.0, 4.0]  # 8 / 4 and 8 / √4
