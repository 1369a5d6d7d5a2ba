"""Declarations of plug-ins: what a score or a predictive reads, requires and gives.

A plug-in's file holds one of these as a literal. The workflow reads and checks it when it is planned, without importing
the file: no numerical library is loaded, and a mistake is one line.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

Environment = Literal["numeric", "torch"]  # of envs/: torch where a job computes with it, and asks for a GPU


@dataclass(frozen=True, kw_only=True)
class Score:
    """A method that scores every example of a cell: `score(inputs, evals, params, seed)`.

    `reads`: an adapter's `records`, or the `samples` of any predictive. `needs`: parts of the records beyond the
    evaluation sets (`train`, `valid`), the saved `head`, more than one of a predictive's `members`, or `flu`.
    `params`: every hyper-parameter with its default, whose type a configuration's value must have. `variants`: names of
    the scores it gives; `probabilities`: those of them that are a probability of error.
    """

    version: int
    reads: Literal["records", "samples"]
    variants: list[str]
    needs: list[Literal["train", "valid", "head", "members", "flu"]] = field(default_factory=list)
    params: dict[str, Any] = field(default_factory=dict)
    probabilities: list[str] = field(default_factory=list)
    environment: Environment = "numeric"

    __pydantic_config__ = {"extra": "forbid"}

    def __post_init__(self) -> None:
        if not self.variants or set(self.probabilities) - set(self.variants):
            raise ValueError("variants: must name every score it gives, and those of probabilities among them")


@dataclass(frozen=True, kw_only=True)
class Predictive:
    """A source of M probability samples: `predict(inputs, evals, params, seed, size)`.

    `reads`: records, records of every `epochs`, a fitted `laplace` posterior, or the `adapter` itself on its model.
    `needs`: `members` if it pools the adapters of several seeds; of the adapter that it is plain `lora`, that it has
    `dropout`; the `valid` part. `sized`: whether its name ends in a number. `samples`: whether M > 1. `params`: every
    hyper-parameter with its default; `fit`: those that decide a posterior which several predictives share.
    """

    version: int
    reads: Literal["records", "epochs", "laplace", "adapter"]
    sized: bool
    samples: bool
    needs: list[Literal["members", "lora", "dropout", "valid"]] = field(default_factory=list)
    params: dict[str, Any] = field(default_factory=dict)
    fit: list[str] = field(default_factory=list)

    __pydantic_config__ = {"extra": "forbid"}

    def __post_init__(self) -> None:
        unknown = [name for name in self.fit if name not in self.params]
        if unknown:
            raise ValueError(f"fit: {', '.join(unknown)} must be among params")


Plugin = Score | Predictive
