"""The interface of a score: a module that declares a `SCORE` and has this function."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

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


@runtime_checkable
class ExportedScore(Protocol):
    """A score that can be computed without this library, from arrays: what it has fitted, its state.

    One that fits nothing has no `fit_state`; the state of each of its variants is empty.
    """

    def apply(
        self,
        variant: str,
        state: "Mapping[str, np.ndarray]",
        probs: "Float[np.ndarray, 'N C']",
        logits: "Float[np.ndarray, 'N C']",
        h: "Float[np.ndarray, 'N d']",
    ) -> "Float[np.ndarray, ' N']":
        """The score that `score` gives as `variant`: plain NumPy whose source stands alone, for people to copy.

        `probs`: the predictive distribution that is scored; `logits`, -inf where an option is missing, and `h`: the
        adapter's own.
        """


@runtime_checkable
class FittedScore(ExportedScore, Protocol):
    def fit_state(self, inputs: Any, params: Mapping[str, Any], seed: int) -> "dict[str, dict[str, np.ndarray]]":
        """The state by variant, which `apply` takes; arguments as of `score`."""


def states(
    module: ExportedScore, declared: Score, inputs: Any, params: Mapping[str, Any], seed: int
) -> "dict[str, dict[str, np.ndarray]]":
    """The state of every variant of an exported score."""
    if isinstance(module, FittedScore):
        return module.fit_state(inputs, params, seed)
    return {variant: {} for variant in declared.variants}
