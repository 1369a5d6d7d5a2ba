"""Evaluation: dropout off, mode restored, and results that do not depend on company or padding."""

import copy

import numpy as np
import pytest
import torch
from tiny import DECODERS, ENCODERS, build

from peftuq.models import inference
from peftuq.models.batching import Encoded
from peftuq.models.readout import ReadOut


def examples(n: int = 23) -> Encoded:
    rng = np.random.default_rng(0)
    tokens = [rng.integers(5, 60, rng.integers(1, 20)).tolist() for _ in range(n)]
    return Encoded(np.arange(n) + 100, rng.integers(0, 3, n), tokens, np.full(n, 3))


def model(kind: str) -> ReadOut:
    if kind == "choice":
        hf = build(DECODERS["llama"], "choice")
        return ReadOut(hf, hf, [50, 51, 52])
    config = copy.deepcopy(ENCODERS["roberta"])
    config.hidden_dropout_prob = config.attention_probs_dropout_prob = 0.5
    hf = build(config, kind)
    return ReadOut(hf, hf)


@pytest.mark.parametrize("kind", ["choice", "classification"])
@pytest.mark.parametrize("max_tokens, pad", [(1, 0), (64, 3), (10_000, 7)])
def test_records_do_not_depend_on_batch_size_or_padding(kind, max_tokens, pad):
    pad = 1 if kind == "classification" else pad  # RoBERTa's positions count tokens that are not padding
    data, read_out = examples(), model(kind)
    alone = inference.run(read_out, data, 1, 1, torch.float32)
    record = inference.run(read_out, data, pad, max_tokens, torch.float32)
    np.testing.assert_allclose(record.logits, alone.logits, atol=2e-4)
    np.testing.assert_allclose(record.h, alone.h, atol=2e-4)
    assert record.id.tolist() == data.id.tolist() and record.label.tolist() == data.label.tolist()


@pytest.mark.parametrize("training", [True, False])
def test_dropout_is_off_and_the_mode_restored(training):
    read_out = model("classification").train(training)
    first, second = (inference.run(read_out, examples(), 1, 64, torch.float32) for _ in range(2))
    assert np.array_equal(first.logits, second.logits)
    assert read_out.training == training and read_out.hf.training == training


def test_answer_mass_is_the_vocabularys_share():
    read_out, data = model("choice"), examples(3)
    record = inference.run(read_out, data, 0, 64, torch.float32)
    for row, tokens in enumerate(data.tokens):
        probabilities = read_out.hf(input_ids=torch.tensor([tokens])).logits[0, -1].softmax(0)
        assert record.answer_mass[row] == pytest.approx(float(probabilities[[50, 51, 52]].sum()), rel=1e-4)


def test_classification_records_have_no_answer_mass():
    assert inference.run(model("classification"), examples(3), 1, 64, torch.float32).answer_mass is None
