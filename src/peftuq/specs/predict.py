"""The spec of a job that makes a predictive's samples from files."""

from typing import Any, Literal

from pydantic import PositiveInt

from peftuq.strict import Strict


class PredictFromRecords(Strict):
    """`module`: that of the predictive `method`, with its declared `params`; `size`: M, where its name has one."""

    method: str
    module: str
    version: int
    params: dict[str, Any]
    reads: Literal["records", "epochs", "laplace", "samples"]
    size: PositiveInt | None
    evals: list[str]
    seed: int
