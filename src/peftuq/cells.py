"""The keys of what a run trains and scores, and the names of predictives: the ground that every package shares."""

import re
from collections.abc import Iterable
from typing import NamedTuple

from peftuq.errors import UserError

PREDICTION = "prediction"  # in place of a score's name: the metrics of the predictive distribution itself
_PREDICTIVE = re.compile(r"(?P<name>[a-z][a-z0-9_]*)(-(?P<size>[1-9]\d*))?")


class Setting(NamedTuple):
    """One recipe on one dataset from one backbone; with a seed, an adapter: what is trained."""

    model: str
    dataset: str
    recipe: str


class Adapter(NamedTuple):
    model: str
    dataset: str
    recipe: str
    seed: int

    @property
    def setting(self) -> Setting:
        return Setting(self.model, self.dataset, self.recipe)


class Cell(NamedTuple):
    """A source of predictive distributions to be scored: an adapter, or what is sampled around it."""

    model: str
    dataset: str
    recipe: str
    seed: int
    predictive: str

    @property
    def setting(self) -> Setting:
        return Setting(self.model, self.dataset, self.recipe)

    @property
    def adapter(self) -> Adapter:
        return Adapter(self.model, self.dataset, self.recipe, self.seed)


def first_seeds(cells: Iterable[Cell]) -> list[Cell]:
    """The cell with the smallest seed of every setting's predictive, in the order of their first cells."""
    found: dict[tuple[Setting, str], Cell] = {}
    for cell in cells:
        key = (cell.setting, cell.predictive)
        found[key] = min(cell, found.get(key, cell), key=lambda one: one.seed)
    return list(found.values())


class Predictive(NamedTuple):
    """A predictive's plug-in and its size, such as the number of members; None where it has none."""

    name: str
    size: int | None


def parse_predictive(key: str) -> Predictive:
    """Split a predictive's key: "ensemble-5" → ("ensemble", 5), "point" → ("point", None).

    Raises `UserError` for a key of another form.
    """
    match = _PREDICTIVE.fullmatch(key)
    if not match:
        raise UserError(f"predictive '{key}': must look like 'point' or 'ensemble-5'")
    return Predictive(match["name"], int(match["size"]) if match["size"] else None)
