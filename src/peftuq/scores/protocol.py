"""The interface of a score: a module that declares a `SCORE` and has this function."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from peftuq.plugins import Score

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float

I = TypeVar("I", contravariant=True)  # noqa: E741  inputs: a `RecordFile`, or a `SampleFile`, as `SCORE.reads` says


class ScoreModule(Protocol[I]):
    SCORE: Score

    def score(
        self, inputs: I, evals: Sequence[str], params: Mapping[str, Any], seed: int
    ) -> "tuple[Mapping[str, Mapping[str, Float[np.ndarray, ' N']]], Mapping[str, Any]]":
        """Scores by variant and evaluation set, higher for examples more likely wrong, and JSON-able diagnostics.

        Examples (N,) in the order of `inputs`; `params`: all that `SCORE` declares.
        """
