"""Interfaces of a predictive: a module that declares a `PREDICTIVE` and has this function."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

from peftuq.plugins import Predictive

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float

    from peftuq.adapters.adapted import Adapted
    from peftuq.artifacts import Samples

F = TypeVar("F", contravariant=True)  # a file: `RecordFile`, `EpochFile` or `LaplaceFile`, as `PREDICTIVE.reads` says


class FilePredictive(Protocol[F]):
    """A predictive that is made of files: `reads` records, epochs or laplace."""

    PREDICTIVE: Predictive

    def predict(
        self, inputs: Sequence[F], evals: Sequence[str], params: Mapping[str, Any], seed: int, size: int | None
    ) -> "tuple[Mapping[str, Samples], Mapping[str, str]]":
        """Samples [M, N, C] by evaluation set, and facts.

        `inputs`: the file of the adapter, or of every pooled one; `params`: all that `PREDICTIVE` declares; `size`: the
        number in its name, where it has one.
        """


class ModelPredictive(Protocol):
    """A predictive that runs the model: `reads` adapter."""

    PREDICTIVE: Predictive

    def predict(
        self,
        adapted: "Adapted",
        data: Mapping[str, Mapping[str, Any]],
        evals: Sequence[str],
        params: Mapping[str, Any],
        seed: int,
        size: int | None,
    ) -> "tuple[Mapping[str, Samples], Mapping[str, str]]":
        """Samples [M, N, C] by evaluation set, and facts.

        `data`: the columns of prepared examples, by evaluation set, and of `train` where `PREDICTIVE.needs` it;
        `params` and `size`: as of `FilePredictive`.
        """


@runtime_checkable
class ExportedPredictive(Protocol):
    """A predictive of one sample (M = 1) that can be computed without this library, from arrays: its state."""

    def fit_state(self, inputs: Any, params: Mapping[str, Any], seed: int) -> "dict[str, np.ndarray]":
        """The arrays that are fitted to `inputs`, the records of one adapter."""

    def apply(
        self,
        state: "Mapping[str, np.ndarray]",
        logits: "Float[np.ndarray, 'N C']",
    ) -> "Float[np.ndarray, 'N C']":
        """The probabilities that `predict` gives: plain NumPy whose source stands alone, for people to copy."""
