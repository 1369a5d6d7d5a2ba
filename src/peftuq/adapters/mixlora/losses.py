"""Losses of a mixture beside the cross-entropy (UQ4CT): load balancing, and calibration of FLU."""

from typing import get_args

from torch import Tensor

from peftuq.config.recipe import Calibration, FluTokens, Loss
from peftuq.models.readout import Output


def weight(calibration: Calibration, step: int) -> float:
    """β at a step, counted from 0: constant, or growing to its full value over the first `steps` steps."""
    grown = 1.0 if calibration.schedule == "constant" else min(1.0, step / calibration.steps)
    return calibration.weight * grown


def calibration_loss(output: Output, label: Tensor, tokens: FluTokens) -> Tensor:
    """Mean of (1[argmax over the options is right] − FLU)² (UQ4CT eq. 13); no gradient through the indicator."""
    assert output.flu is not None
    flu = output.flu[..., get_args(FluTokens).index(tokens)].mean(dim=1)
    right = (output.logits.argmax(dim=1) == label).to(flu.dtype)
    return (right - flu).square().mean()


def extra_loss(output: Output, label: Tensor, loss: Loss, step: int) -> Tensor | None:
    """γ·L_b + β·L_cal (UQ4CT eq. 14), each where the recipe has it; β = 0 is the recipe without it."""
    terms = []
    if loss.balance is not None:
        assert output.balance is not None
        terms.append(loss.balance.weight * output.balance)
    calibration = loss.calibration
    if calibration is not None and weight(calibration, step) > 0:
        terms.append(weight(calibration, step) * calibration_loss(output, label, calibration.flu_tokens))
    return sum(terms[1:], terms[0]) if terms else None
