"""Trainings on the device: resumed they end in the same bits, no step waits, attention needs no mask."""

from pathlib import Path

import pytest
import torch
from small import KINDS, read_out, train
from trainings import weights

from peftuq.models import inference
from peftuq.training import checkpoints, loop

CAUSAL = [name for name in KINDS if name != "encoder"]  # an encoder's attention has to be told where padding is
CUT = 8  # the step before which a training is interrupted; the checkpoint before it is of step 6


def ends_alike(name: str, hardware, folder: Path) -> bool:
    """Whether a training that was interrupted and resumed ends in the bits of one that was not."""
    whole = read_out(name, hardware)
    fresh = weights(whole)
    history = train(name, whole, folder / "whole")
    assert any(not torch.equal(value, fresh[key]) for key, value in weights(whole).items())
    step, steps = loop.Step.__call__, []

    def interrupted(self, *arguments):
        steps.append(step(self, *arguments))
        if len(steps) == CUT:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(loop.Step, "__call__", interrupted)
        train(name, read_out(name, hardware), folder / "broken")
    resumed = read_out(name, hardware)
    torch.manual_seed(99)  # the surroundings' generator must not matter
    again = train(name, resumed, folder / "broken")
    after = weights(resumed)
    return history == again and all(torch.equal(value, after[key]) for key, value in weights(whole).items())


@pytest.mark.parametrize("name", KINDS)
def test_a_resumed_training_ends_in_the_same_bits(hardware, measured, tmp_path, name):
    alike = ends_alike(name, hardware, tmp_path)
    measured.check(f"{name}: resumed", "same bits" if alike else "other bits")
    assert alike


@pytest.mark.parametrize("name", KINDS)
def test_no_step_waits_for_the_device(hardware, measured, monkeypatch, tmp_path, name):
    """All of a training does without, but for what is read at log intervals and at the ends of epochs."""
    model = read_out(name, hardware)
    for owner, allowed in (
        (loop.Step, "read"),
        (loop.Step, "restart"),
        (inference, "run"),
        (checkpoints, "save"),
        (checkpoints, "restore"),
    ):
        monkeypatch.setattr(owner, allowed, waiting(getattr(owner, allowed), hardware))
    with hardware.never_waiting():
        train(name, model, tmp_path)
    measured.check(f"{name}: host waits in a step", "none")


def waiting(function, hardware):
    def may_wait(*arguments):
        with hardware.may_wait():
            return function(*arguments)

    return may_wait


@pytest.mark.parametrize("name", CAUSAL)
def test_causal_attention_runs_in_the_flash_kernel_without_a_mask(hardware, measured, monkeypatch, tmp_path, name):
    attention, masks = torch.nn.functional.scaled_dot_product_attention, []

    def noted(query, key, value, attn_mask=None, **more):
        masks.append(attn_mask)
        return attention(query, key, value, attn_mask=attn_mask, **more)

    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", noted)
    with hardware.only_flash_attention():
        train(name, read_out(name, hardware), tmp_path)
    assert masks and all(mask is None for mask in masks)
    measured.check(f"{name}: attention", "flash kernel, no mask")
