"""An adapted LM head, of which only the answers' rows are computed, against PEFT's own forward pass over all rows."""

import pytest
import torch
from peft import PeftModel
from recipes import adapter, recipe
from test_readout import LENGTHS, tokens
from tiny import DECODERS, build

from peftuq.adapters import lora
from peftuq.adapters.peft_lora import attach, count_parameters
from peftuq.errors import UserError
from peftuq.models.readout import ReadOut
from peftuq.predictives import mc_dropout
from peftuq.predictives.laplace.layers import layers_of

ANSWERS = [11, 7, 9, 30]
HEAD = adapter(targets=["q", "lm_head"], dropout=0.0)


def adapted(how=HEAD, name: str = "llama", moved: bool = True) -> ReadOut:
    model = build(DECODERS[name], "choice")
    peft = attach(model, {"q": "q_proj"}, how, "choice")
    if moved:
        with torch.no_grad():
            for parameter_name, parameter in peft.named_parameters():
                if "lora_B" in parameter_name:
                    rows = ANSWERS if "lm_head" in parameter_name else slice(None)
                    parameter[rows] = torch.randn_like(parameter[rows])
    return lora.read_out(peft, model, ANSWERS, recipe(loss={"answer": "options"}).loss)


def whole_logits(model: ReadOut) -> torch.Tensor:
    every = model.model(input_ids=tokens(0)).logits
    return every[torch.arange(3), LENGTHS - 1]


@pytest.mark.parametrize("name", ["llama", "gemma3"])  # gemma ties its head to the embedding
def test_logits_and_answer_mass_are_those_of_the_whole_adapted_head(name):
    model = adapted(name=name).eval()
    output, whole = model(tokens(0), LENGTHS), whole_logits(model)
    torch.testing.assert_close(output.logits, whole[:, ANSWERS])
    torch.testing.assert_close(output.logsumexp, whole.logsumexp(dim=1))
    torch.testing.assert_close(output.h @ torch.from_numpy(model.head().out_weight).T, output.logits)


def test_gradients_are_those_of_the_whole_head_and_other_rows_have_none():
    model, label = adapted().train(), torch.tensor([1, 0, 3])
    parameters = {n: p for n, p in model.named_parameters() if p.requires_grad}
    ours, whole = (
        torch.autograd.grad(torch.nn.functional.cross_entropy(logits, label), list(parameters.values()))
        for logits in (model(tokens(0), LENGTHS).logits, whole_logits(model.eval())[:, ANSWERS])
    )
    for name, one, other in zip(parameters, ours, whole, strict=True):
        torch.testing.assert_close(one, other, msg=name)
        if "lm_head.lora_B" in name:
            moved = one.abs().amax(dim=1).nonzero().flatten().tolist()
            assert moved == sorted(ANSWERS)
    unread = sum(p.numel() for n, p in parameters.items() if "lm_head.lora_B" in n) - len(ANSWERS) * HEAD.rank
    assert count_parameters(model)["trainable"] == sum(p.numel() for p in parameters.values()) - unread


def test_saved_as_peft_saves_it(tmp_path):
    model = adapted().eval()
    model.model.save_pretrained(tmp_path, save_embedding_layers=False)
    again = PeftModel.from_pretrained(build(DECODERS["llama"], "choice"), tmp_path).eval()
    torch.testing.assert_close(again(input_ids=tokens(0)).logits, model.model(input_ids=tokens(0)).logits)
    hf = build(DECODERS["llama"], "choice")
    loaded = ReadOut(lora.load(hf, tmp_path), hf, ANSWERS).eval()
    torch.testing.assert_close(loaded(tokens(0), LENGTHS).logits, model(tokens(0), LENGTHS).logits, rtol=0, atol=0)


def test_dropout_is_sampled_on_the_head_too_whatever_the_padding():
    model = adapted(adapter(targets=["lm_head"], dropout=0.5)).eval()
    with mc_dropout.dropping(model, 0, 0):
        first, again = model(tokens(0), LENGTHS).logits, model(tokens(0), LENGTHS).logits
        alone = model(tokens(0)[1:2, :3], LENGTHS[1:2]).logits
    with mc_dropout.dropping(model, 0, 1):
        other = model(tokens(0), LENGTHS).logits
    assert torch.equal(first, again) and (first - other).abs().max() > 1e-3
    torch.testing.assert_close(first[1:2], alone)


def test_a_posterior_is_over_the_rows_that_are_read():
    layers = layers_of(adapted(), "excluded")
    assert {name.split(".")[-2]: layers[name].out_features for name in layers if name.endswith(".B")} == {
        "q_proj": 16, "lm_head": len(ANSWERS)
    }  # fmt: skip


def test_a_classifier_has_none():
    with pytest.raises(UserError, match="lm_head"):
        attach(build(DECODERS["llama"], "classification"), {"q": "q_proj"}, HEAD, "classification")


@pytest.mark.parametrize("change, key", [({"loss": {"answer": "vocabulary"}}, "loss.answer: options"), (
    {"prior": {"half_lambda": 1.0, "diversity": "anchored"}}, "anchored")])  # fmt: skip
def test_other_rows_are_never_moved(change, key):
    with pytest.raises(ValueError, match=key):
        recipe(**{"adapter": {"targets": ["lm_head"]}, "loss": {"answer": "options"}, **change})
