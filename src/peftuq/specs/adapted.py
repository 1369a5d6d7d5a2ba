"""Specs of jobs that run an adapter on its backbone, or the backbone alone where nothing was trained."""

from typing import Any, Literal

from pydantic import PositiveInt

from peftuq.specs.task import Task
from peftuq.strict import Strict


class Adapted(Strict):
    """`adapter`: module of the recipe's kind of adapter."""

    task: Task
    adapter: str


class Extract(Adapted):
    """`parts`: sets to record: the training and validation split, evaluation sets."""

    parts: list[str]


class PredictWithModel(Adapted):
    """`module`: that of the predictive `method`, with its declared `params`; `size`: M, where its name has one."""

    method: str
    module: str
    version: int
    params: dict[str, Any]
    reads: Literal["adapter"]
    size: PositiveInt | None
    evals: list[str]
    seed: int


class LaplaceParameters(Strict):
    """Parameters of a Laplace fit, as `predictives/laplace/method.py` declares them.

    `grid`: prior precisions tried on the validation split: log10 of the lowest, of the highest, number.
    """

    positions: Literal["all", "read"]
    head: Literal["excluded", "included"]
    rank: PositiveInt
    exact_below: int
    batch_tokens: PositiveInt
    grid: tuple[float, float, PositiveInt]


class FitLaplace(Adapted):
    params: LaplaceParameters
    evals: list[str]
    seed: int
