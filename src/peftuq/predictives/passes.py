"""Samples of a predictive distribution from a model that is changed for a while: a pass over the examples for each."""

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager

from peftuq.adapters.adapted import Adapted
from peftuq.artifacts import Samples, softmax
from peftuq.models.batching import Encoded
from peftuq.predictives.ensemble import pool
from peftuq.progress import Progress


def predict(
    adapted: Adapted, data: Mapping[str, Encoded], draws: Iterable[AbstractContextManager[None]], progress: Progress
) -> dict[str, Samples]:
    """Samples (M, N, C) of each set of examples; `draws`: M blocks inside which the model is that of a sample.

    All examples of a sample meet the same model: it depends neither on batches nor on padding.
    """
    found: dict[str, list[Samples]] = {part: [] for part in data}
    for draw in draws:
        with draw:
            for part, examples in data.items():
                record = adapted.run(examples, progress)
                found[part].append(Samples(record.id, record.label, softmax(record.logits)[None]))
    return {part: pool(samples) for part, samples in found.items()}
