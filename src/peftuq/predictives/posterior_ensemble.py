"""Ensembles of posteriors (MultiSWAG; Wilson and Izmailov 2020): the samples of every seed's posterior, side by side.

A posterior around one training knows one basin; each member's samples know its own. All weigh alike, as in the paper.
Of M members with `of` posterior_samples-K there are M K samples, which are read, not made again.

Params
  of   the predictive that is pooled: any of single adapters, posterior_samples-K or tfb-K say.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from peftuq.artifacts import SampleFile, Samples
from peftuq.plugins import Predictive
from peftuq.predictives.ensemble import pool

PREDICTIVE = Predictive(
    version=1,
    reads="samples",
    needs=["members"],
    sized=True,
    samples=True,
    params={"of": "posterior_samples-10"},
)


def predict(
    inputs: Sequence[SampleFile], evals: Sequence[str], params: Mapping[str, Any], seed: int, size: int | None
) -> tuple[dict[str, Samples], dict[str, str]]:
    """Samples (M K, N, C) of each evaluation set, those of the first member first."""
    return {part: pool([file[part] for file in inputs]) for part in evals}, {}
