"""Interfaces of a predictive: a module that declares a `PREDICTIVE` and has this function."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from peftuq.plugins import Predictive

if TYPE_CHECKING:
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
