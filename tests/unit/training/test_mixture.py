"""Training a mixture: the calibration loss and its schedule, and what switching it off means."""

import numpy as np
import pytest
import torch
from recipes import recipe
from tiny import DECODERS, build
from trainings import DATA, job, weights

from peftuq.adapters.mixlora import losses
from peftuq.adapters.mixlora import method as mixlora
from peftuq.artifacts import Record
from peftuq.config.recipe import Calibration
from peftuq.models import inference
from peftuq.models.readout import Output
from peftuq.scores import flu as flu_score
from peftuq.training import loop

TARGETS = ["q", "gate", "up", "down"]
MODULES = {"q": "q_proj", "gate": "gate_proj", "up": "up_proj", "down": "down_proj"}
CALIBRATION = {"weight": 1.0}


def train(tmp_path, calibration: dict | None):
    model = build(DECODERS["llama"], "choice")
    how = recipe(adapter={"targets": TARGETS, "mixture": {}}, loss={"balance": {}, "calibration": calibration})
    torch.manual_seed(0)
    peft = mixlora.attach(model, MODULES, how.adapter, "choice")
    read_out = mixlora.read_out(peft, model, [50, 51, 52], how.loss)
    history, _ = loop.train(read_out, DATA, job(tmp_path, how, extra_loss=mixlora.extra_loss))
    return read_out, history


def test_no_weight_on_calibration_is_the_plain_mixture_to_the_bit(tmp_path):
    plain, one = train(tmp_path / "a", None)
    zero, two = train(tmp_path / "b", {**CALIBRATION, "weight": 0.0})
    full, three = train(tmp_path / "c", CALIBRATION)
    assert one == two and one != three
    for name, value in weights(plain).items():
        assert torch.equal(value, weights(zero)[name]), name
    assert any(not torch.equal(value, weights(full)[name]) for name, value in weights(plain).items())


def test_incremental_weight_grows_to_its_full_value():
    how = Calibration(schedule="incremental", weight=2.0, steps=50)
    assert [losses.weight(how, step) for step in (0, 25, 50, 1000)] == [0, 1, 2, 2]
    assert losses.weight(Calibration(weight=2.0), 0) == 2


def test_calibration_loss_is_the_squared_gap_and_reaches_only_the_routers():
    """UQ4CT eq. 13 written out for two examples, one of them right."""
    flu = torch.tensor([[[0.5, 0.9], [0.7, 0.3]], [[0.4, 0.2], [0.4, 0.6]]], requires_grad=True)
    logits = torch.tensor([[1.0, 2.0], [3.0, 0.0]], requires_grad=True)
    output = Output(logits, torch.zeros(2, 1), None, flu)
    label = torch.tensor([1, 1])
    assert losses.calibration_loss(output, label, "mean").item() == pytest.approx(((1 - 0.6) ** 2 + 0.4**2) / 2)
    assert losses.calibration_loss(output, label, "last").item() == pytest.approx(((1 - 0.6) ** 2 + 0.4**2) / 2)
    loss = losses.calibration_loss(output, torch.tensor([0, 0]), "last")
    loss.backward()
    assert loss.item() == pytest.approx((0.6**2 + (1 - 0.4) ** 2) / 2)
    assert logits.grad is None and (flu.grad[..., 0] == 0).all() and (flu.grad[..., 1] != 0).all()


def test_records_have_flu_in_its_range_whatever_the_batch(tmp_path):
    model, _ = train(tmp_path, CALIBRATION)
    wide = inference.run(model, DATA["valid"], 0, 10_000, torch.float32)
    narrow = inference.run(model, DATA["valid"], 0, 1, torch.float32)
    assert wide.flu.shape == (7, 2, 2)
    assert (wide.flu >= 0.5 - 1e-6).all() and (wide.flu <= 1 + 1e-6).all() and wide.flu.std() > 0
    np.testing.assert_allclose(wide.flu, narrow.flu, atol=1e-5)


def test_calibration_moves_flu_towards_accuracy(tmp_path):
    """The tiny model gets nearly all right when it has seen the answers: FLU must rise above that of the mixture."""
    plain, _ = train(tmp_path / "a", None)
    calibrated, _ = train(tmp_path / "b", {**CALIBRATION, "weight": 5.0})
    flus = [inference.run(model, DATA["train"], 0, 1000, torch.float32).flu[..., 0] for model in (plain, calibrated)]
    records = inference.run(calibrated, DATA["train"], 0, 1000, torch.float32)
    right = (records.logits.argmax(axis=1) == records.label).mean()
    assert abs(flus[1].mean() - right) < abs(flus[0].mean() - right)


def test_score_is_what_flu_leaves():
    flu = np.array([[[0.5, 0.9], [0.7, 0.3]], [[1.0, 1.0], [1.0, 1.0]]], dtype=np.float32)
    record = Record(np.arange(2), np.zeros(2, int), np.zeros((2, 2)), None, flu=flu)
    scores, _ = flu_score.score({"test": record}, ["test"], {}, 0)
    np.testing.assert_allclose(scores["flu_mean"]["test"], [0.4, 0.0], atol=1e-6)
    np.testing.assert_allclose(scores["flu_last"]["test"], [0.4, 0.0], atol=1e-6)
