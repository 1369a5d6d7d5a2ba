"""Samples from an adapter's own posterior, whatever its kind: a draw of its weights for each.

Any kind of adapter that provides a `posterior` defines how it is drawn from (`adapters.protocol.PosteriorModule`). Its
mean is the predictive `point`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from peftuq.adapters import drawn
from peftuq.adapters.adapted import Adapted
from peftuq.adapters.protocol import PosteriorModule
from peftuq.artifacts import Samples
from peftuq.plugins import Predictive
from peftuq.predictives import passes
from peftuq.progress import Progress

PREDICTIVE = Predictive(
    version=1,
    reads="adapter",
    needs=["posterior"],
    sized=True,
    samples=True,
)


def predict(
    adapted: Adapted,
    data: Mapping[str, Mapping[str, Any]],
    evals: Sequence[str],
    params: Mapping[str, Any],
    seed: int,
    size: int | None,
) -> tuple[dict[str, Samples], dict[str, str]]:
    """`size` samples of each evaluation set."""
    assert size is not None  # as `sized`
    kind = cast(PosteriorModule, adapted.adapters)
    encoded = {part: adapted.encode(data[part]) for part in evals}
    progress = Progress(adapted.log, "passes", size * sum(map(len, encoded.values())), "examples")
    model = adapted.read_out
    draws = (drawn.weights(model, kind.draw(model, drawn.generator(seed, number))) for number in range(size))
    return passes.predict(adapted, encoded, draws, progress), {}
