"""Checkpoint ensembles (Chen et al. 2017): the last epochs of one training, averaged as if they were members."""

from collections.abc import Mapping, Sequence
from typing import Any

from peftuq.artifacts import EpochFile, Samples
from peftuq.errors import UserError
from peftuq.plugins import Predictive
from peftuq.predictives.ensemble import pool

PREDICTIVE = Predictive(
    version=1,
    reads="epochs",
    sized=True,
    samples=True,
)


def predict(
    inputs: Sequence[EpochFile], evals: Sequence[str], params: Mapping[str, Any], seed: int, size: int | None
) -> tuple[dict[str, Samples], dict[str, str]]:
    """Samples of the last `size` epochs. Raises `UserError` if the training had fewer."""
    assert size is not None  # as `sized`
    (file,) = inputs
    if size > file.epochs:
        raise UserError(f"checkpoint_ensemble-{size}: the recipe trains {file.epochs} epochs; lower the size")
    last = range(file.epochs - size + 1, file.epochs + 1)
    return {part: pool([file.samples(epoch, part) for epoch in last]) for part in evals}, {}
