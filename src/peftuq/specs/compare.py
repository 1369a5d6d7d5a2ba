"""The spec of a paired comparison of a setting's scores."""

from pydantic import PositiveInt

from peftuq.strict import Strict


class Compare(Strict):
    """`cells`: model, dataset, recipe, seed and predictive of each, and its scores; `resamples` of the bootstrap."""

    cells: list[tuple[tuple[str, str, str, int, str], list[str]]]
    evals: list[str]
    resamples: PositiveInt
