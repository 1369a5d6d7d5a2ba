"""Average rank of methods over cells (model x dataset), as in the Rank columns of the AdUE tables."""

from collections.abc import Hashable, Mapping
from typing import Literal, NamedTuple

import numpy as np

from peftuq.errors import UserError


class Ranks(NamedTuple):
    """`mean` rank of each method (1 = best), the ranks in each cell, and the cells `left_out`."""

    mean: dict[str, float]
    cells: dict[Hashable, dict[str, float]]
    left_out: list[Hashable]


def average_ranks(
    values: Mapping[str, Mapping[Hashable, float | None]], better: Literal["higher", "lower"] = "higher"
) -> Ranks:
    """Rank the methods in each cell, equal values sharing the mean of their ranks, and average over cells.

    `values` is method -> cell -> value; absent, None and NaN are missing. Only cells where EVERY method has a
    value are ranked, for a rank among fewer methods is a better rank; the others are named in `left_out`.
    Raises `UserError` when no cell is left.
    """
    cells = list(dict.fromkeys(cell for of_method in values.values() for cell in of_method))
    sign = 1.0 if better == "higher" else -1.0
    ranked: dict[Hashable, dict[str, float]] = {}
    left_out: list[Hashable] = []
    for cell in cells:
        row = np.array([of_method.get(cell) for of_method in values.values()], dtype=np.float64) * sign
        if np.isnan(row).any():
            left_out.append(cell)
        else:
            ranked[cell] = dict(zip(values, _ranks(row).tolist(), strict=True))
    if not ranked:
        raise UserError(
            f"ranks: none of {len(cells)} cells has a value of every method ({', '.join(values)}); "
            "leave out a method or run the missing cells"
        )
    mean = {method: float(np.mean([cell[method] for cell in ranked.values()])) for method in values}
    return Ranks(mean, ranked, left_out)


def _ranks(row: np.ndarray) -> np.ndarray:
    """1 + the number of greater values + half the number of other equal ones."""
    greater = (row[None, :] > row[:, None]).sum(axis=1)
    equal = (row[None, :] == row[:, None]).sum(axis=1)
    return greater + (equal + 1) / 2
