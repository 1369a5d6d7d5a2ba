"""Deep ensembles (Lakshminarayanan et al. 2017) of adapters: one sample per member, probabilities side by side."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from peftuq.artifacts import RecordFile, Samples, softmax
from peftuq.plugins import Predictive

PREDICTIVE = Predictive(
    version=1,
    reads="records",
    needs=["members"],
    sized=True,
    samples=True,
)


def pool(members: Sequence[Samples]) -> Samples:
    """The members' samples stacked: probs (M, N, C). All must be of the same examples in the same order."""
    first = members[0]
    if any(not np.array_equal(first.id, member.id) for member in members):
        raise ValueError("the members of an ensemble must be of the same examples in the same order")
    return Samples(first.id, first.label, np.concatenate([member.probs for member in members]))


def predict(
    inputs: Sequence[RecordFile], evals: Sequence[str], params: Mapping[str, Any], seed: int, size: int | None
) -> tuple[dict[str, Samples], dict[str, str]]:
    def sample(record: RecordFile, part: str) -> Samples:
        of = record[part]
        return Samples(of.id, of.label, softmax(of.logits)[None])

    return {part: pool([sample(record, part) for record in inputs]) for part in evals}, {}
