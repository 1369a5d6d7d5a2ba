"""The spec of a job that computes a score."""

from typing import Any, Literal

from peftuq.strict import Strict


class Score(Strict):
    """`module`: that of the score `method`, with its declared `params`."""

    method: str
    module: str
    version: int
    params: dict[str, Any]
    reads: Literal["records", "samples"]
    evals: list[str]
    seed: int
