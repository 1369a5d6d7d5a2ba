"""Specs of rehearsed jobs: what `planning.requests` keeps of the workflow's."""

from typing import Any

from peftuq.config.recipe import Recipe
from peftuq.specs.task import Task
from peftuq.strict import Strict


class Rehearsed(Strict):
    """`params`: of the plug-in in `module`, or of a Laplace fit."""

    task: Task
    adapter: str
    modules: dict[str, str]
    recipe: Recipe
    method: str | None = None
    module: str | None = None
    params: dict[str, Any] = {}


class RehearsedScore(Strict):
    """A score's fit: the `params` of the `method`, and the number of `rows` of each part that it reads."""

    task: Task
    method: str | None = None
    module: str | None = None
    params: dict[str, Any]
    rows: dict[str, int]
