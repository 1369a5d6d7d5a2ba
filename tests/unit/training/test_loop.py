"""The training loop: exact resume, honest batches, and what it does when things go wrong."""

import copy
import itertools
import math
import os
import signal

import numpy as np
import pytest
import torch
from recipes import adapter, recipe
from tiny import DECODERS, ENCODERS, build
from trainings import DATA, job, weights

from peftuq.adapters.peft_lora import attach, trainable
from peftuq.errors import UserError
from peftuq.models.batching import collate, epoch_batches, token_batches
from peftuq.models.readout import ReadOut
from peftuq.training import checkpoints, loop


def read_out(kind: str = "classification", dropout: float = 0.1) -> ReadOut:
    how = adapter(dropout=dropout)
    if kind == "choice":
        model = build(DECODERS["llama"], "choice")
        return ReadOut(attach(model, {"q": "q_proj", "v": "v_proj"}, how, kind), model, [50, 51, 52])
    config = copy.deepcopy(ENCODERS["bert"])
    config.hidden_dropout_prob = config.attention_probs_dropout_prob = dropout
    model = build(config, kind)
    return ReadOut(attach(model, {"q": "query", "v": "value"}, how, kind), model)


@pytest.mark.parametrize("kind", ["classification", "choice"])
def test_resumed_training_is_bit_identical(tmp_path, monkeypatch, kind):
    whole = read_out(kind)
    start = weights(whole)
    history, _ = loop.train(whole, DATA, job(tmp_path / "whole"))
    broken = read_out(kind)
    calls = {"n": 0}
    step = loop.Run.update

    def failing(self, rows, number):
        calls["n"] += 1
        if calls["n"] == 8:
            raise KeyboardInterrupt
        step(self, rows, number)

    monkeypatch.setattr(loop.Run, "update", failing)
    with pytest.raises(KeyboardInterrupt):
        loop.train(broken, DATA, job(tmp_path / "broken"))
    monkeypatch.setattr(loop.Run, "update", step)
    resumed = read_out(kind)
    torch.manual_seed(99)  # the surroundings' generator must not matter
    again, _ = loop.train(resumed, DATA, job(tmp_path / "broken"))
    for name, value in weights(whole).items():
        assert torch.equal(value, weights(resumed)[name]), name
    assert any(not torch.equal(value, weights(whole)[name]) for name, value in start.items())
    assert history == again


def by_steps(steps: int):
    return recipe(optimiser={"epochs": None, "max_steps": steps, "schedule": "linear"})


def test_steps_end_a_training_within_an_epoch(tmp_path, monkeypatch):
    """18 examples in batches of 4 are 5 steps an epoch: 7 are one epoch and 2 steps, whatever interrupts them."""
    factors, step = [], loop.Step.__call__
    monkeypatch.setattr(loop.Step, "__call__", lambda self, *args: (factors.append(args[2]), step(self, *args))[1])
    whole, resumed = read_out(), read_out()
    history, _ = loop.train(whole, DATA, job(tmp_path / "whole", by_steps(7)))
    assert [row["epoch"] for row in history] == [1, 2]
    assert len(factors) == 7 and factors[-1] == pytest.approx(1 / 6)  # of 7 steps the first warms up

    def stopped(epoch, record, valid):
        os.kill(os.getpid(), signal.SIGUSR1)

    with pytest.raises(SystemExit):
        loop.train(resumed, DATA, job(tmp_path, by_steps(7)), stopped)
    assert len(factors) == 7 + 6  # the signal is seen after the first step of the second epoch
    again, _ = loop.train(resumed, DATA, job(tmp_path, by_steps(7)))
    assert again == history and len(factors) == 7 + 7
    assert all(torch.equal(value, weights(resumed)[name]) for name, value in weights(whole).items())


@pytest.mark.parametrize("length", [{}, {"epochs": 2, "max_steps": 2}])
def test_a_training_has_one_length(length):
    with pytest.raises(ValueError, match="either epochs or max_steps"):
        recipe(optimiser={"epochs": None, **length})


def test_checkpoint_of_another_job_is_not_resumed(tmp_path):
    loop.train(read_out(), DATA, job(tmp_path, identity="one"))
    fresh, other = read_out(), read_out()
    loop.train(fresh, DATA, job(tmp_path / "elsewhere", identity="two"))
    loop.train(other, DATA, job(tmp_path, identity="two"))
    for name, value in weights(fresh).items():
        assert torch.equal(value, weights(other)[name])


def test_a_damaged_checkpoint_is_not_resumed(tmp_path):
    model = read_out()
    loop.train(model, DATA, job(tmp_path, recipe(optimiser={"epochs": 1})))
    optimiser, file = torch.optim.AdamW(trainable(model).values()), tmp_path / "checkpoint" / checkpoints.FILE
    assert checkpoints.restore(file.parent, "job", weights(model), optimiser) is not None
    content = bytearray(file.read_bytes())
    content[-3] ^= 1
    file.write_bytes(content)
    assert checkpoints.restore(file.parent, "job", weights(model), optimiser) is None


def test_micro_batches_give_the_gradient_of_the_whole_batch(tmp_path):
    whole, parts = read_out(dropout=0.0), read_out(dropout=0.0)
    once = {"epochs": 1}
    loop.train(whole, DATA, job(tmp_path / "a", recipe(optimiser=once)))
    loop.train(parts, DATA, job(tmp_path / "b", recipe(optimiser=once, micro_batch_tokens=12)))
    for name, value in weights(whole).items():
        torch.testing.assert_close(value, weights(parts)[name], rtol=1e-4, atol=2e-5)


def test_log_has_both_splits_and_counts_every_example(tmp_path):
    model = read_out()
    history, seconds = loop.train(model, DATA, job(tmp_path))
    assert [row["epoch"] for row in history] == [1, 2, 3] and seconds > 0
    assert all({"train_loss", "train_accuracy", "valid_loss", "valid_accuracy"} <= row.keys() for row in history)
    assert (history[-1]["train_accuracy"] * 18) == pytest.approx(round(history[-1]["train_accuracy"] * 18))
    model.eval()
    batch = collate(DATA["valid"], np.arange(7), 0)
    logits = model(batch.input_ids, batch.lengths).logits
    assert history[-1]["valid_loss"] == pytest.approx(
        float(torch.nn.functional.cross_entropy(logits, batch.label)), rel=1e-5
    )


def test_frozen_weights_stay(tmp_path):
    model = read_out()
    frozen = {n: p.detach().clone() for n, p in model.named_parameters() if not p.requires_grad}
    loop.train(model, DATA, job(tmp_path))
    assert frozen and all(torch.equal(p, frozen[n]) for n, p in model.named_parameters() if n in frozen)


def test_divergence_is_a_users_error(tmp_path):
    steady = recipe()
    diverging = steady.model_copy(update={"optimiser": steady.optimiser.model_copy(update={"lr": 1e30})})
    with pytest.raises(UserError, match=r"diverged: after step \d+.*optimiser\.lr"):
        loop.train(read_out(), DATA, job(tmp_path, diverging))


def test_signal_leaves_a_checkpoint_and_asks_to_be_requeued(tmp_path):
    def at_epoch(epoch, record, valid):
        os.kill(os.getpid(), signal.SIGUSR1)

    with pytest.raises(SystemExit) as ended:
        loop.train(read_out(), DATA, job(tmp_path), at_epoch)
    assert ended.value.code == loop.REQUEUE
    resumed, whole = read_out(), read_out()
    loop.train(resumed, DATA, job(tmp_path))
    loop.train(whole, DATA, job(tmp_path / "whole"))
    assert all(torch.equal(v, weights(whole)[n]) for n, v in weights(resumed).items())


def test_schedule_warms_up_and_decays_to_zero():
    optimiser = recipe(optimiser={"warmup": 0.1, "schedule": "linear"}).optimiser
    factors = [loop.schedule(step, 100, optimiser) for step in range(100)]
    assert max(factors) == 1.0 and factors.index(1.0) == 10
    assert factors[0] > 0 and factors[-1] == pytest.approx(1 / 90)
    assert all(a > b for a, b in itertools.pairwise(factors[10:]))


def test_epoch_batches_cover_every_row_once_and_differ_by_epoch():
    lengths = np.random.default_rng(0).integers(1, 50, 103)
    first, second = (epoch_batches(lengths, 8, 3, epoch) for epoch in (0, 1))
    for batches in (first, second):
        assert sorted(np.concatenate(batches).tolist()) == list(range(103))
        assert len(batches) == math.ceil(103 / 8)
    assert [b.tolist() for b in first] == [b.tolist() for b in epoch_batches(lengths, 8, 3, 0)]
    assert [b.tolist() for b in first] != [b.tolist() for b in second]
    spread = np.mean([np.ptp(lengths[b]) for b in first])
    assert spread < 10  # like lengths together: a random batch of 8 spans about 38


def test_token_batches_respect_the_budget():
    lengths = np.random.default_rng(0).integers(1, 50, 200)
    batches = token_batches(lengths, 128)
    assert sorted(np.concatenate(batches).tolist()) == list(range(200))
    assert all(len(b) * lengths[b].max() <= 128 for b in batches)


def test_training_loss_and_accuracy_weigh_every_example_alike(tmp_path):
    """At a rate that moves nothing, an epoch's loss is the fresh model's over all examples; the last batch has two."""
    model = read_out(dropout=0.0)
    history, _ = loop.train(model, DATA, job(tmp_path, recipe(optimiser={"lr": 1e-12, "epochs": 1})))
    batch = collate(DATA["train"], np.arange(18), 0)
    with torch.no_grad():
        logits = model.eval()(batch.input_ids, batch.lengths).logits
    expected = torch.nn.functional.cross_entropy(logits, batch.label)
    assert history[0]["train_loss"] == pytest.approx(float(expected), rel=1e-5)
    right = (logits.argmax(dim=1) == batch.label).double().mean()
    assert history[0]["train_accuracy"] == pytest.approx(float(right))
