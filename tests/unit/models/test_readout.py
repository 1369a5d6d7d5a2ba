"""The read-out against transformers' own forward passes."""

import pytest
import torch
from recipes import adapter
from tiny import DECODERS, ENCODERS, build

from peftuq.adapters.peft_lora import attach
from peftuq.models.readout import ReadOut

LENGTHS = torch.tensor([7, 3, 5])


def tokens(pad: int) -> torch.Tensor:
    ids = torch.randint(5, 60, (3, 7), generator=torch.Generator().manual_seed(1))
    return ids.masked_fill(torch.arange(7) >= LENGTHS[:, None], pad)


@pytest.mark.parametrize("name", ENCODERS)
def test_encoder_logits_equal_transformers(name):
    model = build(ENCODERS[name], "classification")
    ids = tokens(model.config.pad_token_id)
    mask = (torch.arange(7) < LENGTHS[:, None]).long()
    output = ReadOut(model, model).eval()(ids, LENGTHS)
    torch.testing.assert_close(output.logits, model(input_ids=ids, attention_mask=mask).logits)


@pytest.mark.parametrize("name", DECODERS)
def test_decoder_classifier_reads_the_last_real_token(name):
    model = build(DECODERS[name], "classification")
    ids = tokens(0)
    mask = (torch.arange(7) < LENGTHS[:, None]).long()
    output = ReadOut(model, model).eval()(ids, LENGTHS)
    torch.testing.assert_close(output.logits, model(input_ids=ids, attention_mask=mask).logits)


@pytest.mark.parametrize("name", DECODERS)
def test_choice_reads_answer_rows_at_the_last_prompt_token(name):
    model = build(DECODERS[name], "choice")
    ids, answers = tokens(0), [11, 7, 9, 30]
    output = ReadOut(model, model, answers).eval()(ids, LENGTHS)
    for row, length in enumerate(LENGTHS):  # one unpadded example at a time
        full = model(input_ids=ids[row : row + 1, :length]).logits[0, -1]
        torch.testing.assert_close(output.logits[row], full[answers])
        torch.testing.assert_close(output.logsumexp[row], full.logsumexp(0))


def test_missing_options_are_masked():
    model = build(DECODERS["llama"], "choice")
    logits = ReadOut(model, model, [11, 7, 9]).eval()(tokens(0), LENGTHS, torch.tensor([3, 2, 3])).logits
    assert torch.isneginf(logits[1, 2]) and torch.isfinite(logits).sum() == 8


@pytest.mark.parametrize("name, roles", [("bert", ("query", "value")), ("roberta", ("query", "value"))])
def test_head_arrays_reproduce_the_logits(name, roles):
    model = build(ENCODERS[name], "classification")
    modules = dict(zip(("q", "v"), roles, strict=True))
    read_out = ReadOut(attach(model, modules, adapter(dropout=0.0), "classification"), model).eval()
    output, head = read_out(tokens(model.config.pad_token_id), LENGTHS), read_out.head()
    z = head.representation(output.h.detach().numpy())
    torch.testing.assert_close(torch.tensor(z @ head.out_weight.T + head.out_bias).float(), output.logits)


def test_gelu_head_arrays_reproduce_the_logits():
    model = build(ENCODERS["electra"], "classification")
    read_out = ReadOut(model, model).eval()
    output, head = read_out(tokens(0), LENGTHS), read_out.head()
    z = head.representation(output.h.detach().numpy())
    torch.testing.assert_close(torch.tensor(z @ head.out_weight.T + head.out_bias).float(), output.logits)


@pytest.mark.parametrize("name", ["roberta", "bert"])
def test_dropout_of_the_head_matches_transformers_in_training(name):
    config = ENCODERS[name]
    model = build(config, "classification").train()
    for module in model.base_model.modules():  # only the head's own dropout is left
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    ids, mask = tokens(config.pad_token_id), (torch.arange(7) < LENGTHS[:, None]).long()
    torch.manual_seed(3)
    ours = ReadOut(model, model).train()(ids, LENGTHS).logits
    torch.manual_seed(3)
    torch.testing.assert_close(ours, model(input_ids=ids, attention_mask=mask).logits)


def test_normalised_head_is_baked_into_plain_weights():
    model = build(ENCODERS["roberta"], "classification")
    lora = adapter(targets=["q"], dropout=0.0)
    read_out = ReadOut(attach(model, {"q": "query"}, lora, "classification"), model)
    read_out.normalise_head()
    for _ in range(50):  # power iterations run in training mode only
        read_out.train()(tokens(1), LENGTHS)
    before = read_out.eval()(tokens(1), LENGTHS).logits
    read_out.bake_head()
    head = read_out.head()
    assert torch.linalg.matrix_norm(torch.tensor(head.dense_weight), 2) == pytest.approx(1, abs=1e-3)
    torch.testing.assert_close(read_out.eval()(tokens(1), LENGTHS).logits, before)
