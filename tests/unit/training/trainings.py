"""Small trainings that the tests of this folder share."""

import numpy as np
import pytest
import torch
from recipes import recipe

from peftuq.adapters import lora
from peftuq.adapters.peft_lora import trainable
from peftuq.models.batching import Encoded
from peftuq.models.readout import ReadOut
from peftuq.progress import Log
from peftuq.training import loop

RECIPE = recipe()


def examples(n: int, classes: int = 3, seed: int = 0) -> Encoded:
    rng = np.random.default_rng(seed)
    label = rng.integers(0, classes, n)
    tokens = [[5 + int(y), *rng.integers(10, 60, rng.integers(2, 9)).tolist()] for y in label]
    return Encoded(np.arange(n), label, tokens, np.full(n, classes))


def job(folder, recipe=RECIPE, seed: int = 1, identity: str = "job", extra_loss=lora.extra_loss) -> loop.Job:
    log = Log(None, "test")
    return loop.Job(recipe, extra_loss, seed, 0, torch.float32, 64, folder / "checkpoint", identity, log)


def weights(model: ReadOut) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in trainable(model).items()}


def train(model: ReadOut, found: loop.Job, stop: int | None = None) -> None:
    """Train on `DATA`; `stop`: the step before which the training is interrupted."""
    update = loop.Run.update

    def interrupted(self, rows, number):
        if number == stop:
            raise KeyboardInterrupt
        update(self, rows, number)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop.Run, "update", interrupted)
        try:
            loop.train(model, DATA, found)
        except KeyboardInterrupt:
            assert stop is not None


DATA = {"train": examples(18), "valid": examples(7, seed=1)}
