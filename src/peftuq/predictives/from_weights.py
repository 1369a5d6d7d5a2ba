"""Samples of a predictive distribution from drawn weights: a pass over the examples for each draw."""

from collections.abc import Iterable, Mapping

from torch import Tensor

from peftuq.adapters import drawn
from peftuq.adapters.adapted import Adapted
from peftuq.artifacts import Samples, softmax
from peftuq.models.batching import Encoded
from peftuq.predictives.ensemble import pool
from peftuq.progress import Progress


def predict(
    adapted: Adapted, data: Mapping[str, Encoded], draws: Iterable[Mapping[str, Tensor]], progress: Progress
) -> dict[str, Samples]:
    """Samples (M, N, C) of each set of examples; `draws`: M times the parameters that a sample has, by name.

    All examples of a sample have the same weights: it depends neither on batches nor on padding.
    """
    found: dict[str, list[Samples]] = {part: [] for part in data}
    for draw in draws:
        with drawn.weights(adapted.read_out, draw):
            for part, examples in data.items():
                record = adapted.run(examples, progress)
                found[part].append(Samples(record.id, record.label, softmax(record.logits)[None]))
    return {part: pool(samples) for part, samples in found.items()}
