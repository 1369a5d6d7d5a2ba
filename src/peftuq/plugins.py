"""Declarations of plug-ins: what a score, a predictive or a kind of adapter reads, requires and gives.

A plug-in's file holds one of these as a literal. The workflow reads and checks it when it is planned, without importing
the file: no numerical library is loaded, and a mistake is one line.
"""

import importlib
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar, cast

Environment = Literal["numeric", "torch"]  # of envs/: torch where a job computes with it, and asks for a GPU
NAME = r"[a-z][a-z0-9_]*"  # of a plug-in, and so of its file
Bounds = tuple[float | None, float | str | None]


@dataclass(frozen=True, kw_only=True)
class Parametrised:
    """`params`: every hyper-parameter with its default, whose type a configuration's value must have.

    A list may have any number of entries like the default's; a tuple stands for a list of just its length.
    `bounds`: the least and the largest value of a number, or of each in a list; None, or the name of another parameter;
    of a tuple also a list of these, one an entry. `choices`: the values that a text, or each in a list, may have.
    """

    params: dict[str, Any] = field(default_factory=dict)
    bounds: dict[str, Bounds | list[Bounds]] = field(default_factory=dict)
    choices: dict[str, list[str]] = field(default_factory=dict)

    __pydantic_config__ = {"extra": "forbid"}

    def __post_init__(self) -> None:
        pairs = [pair for given in self.bounds.values() for pair in (given if isinstance(given, list) else [given])]
        limits = [high for _, high in pairs if isinstance(high, str)]
        unknown = [name for name in (*self.bounds, *limits, *self.choices) if name not in self.params]
        if unknown:
            raise ValueError(f"bounds, choices: {', '.join(unknown)} must be among params")
        for name, given in self.bounds.items():
            default = self.params[name]
            if isinstance(given, list) and not (isinstance(default, tuple) and len(default) == len(given)):
                raise ValueError(f"bounds.{name}: a list of bounds needs a default (…) of as many entries")


@dataclass(frozen=True, kw_only=True)
class Score(Parametrised):
    """A method that scores every example of a cell: `score(inputs, evals, params, seed)`.

    `reads`: an adapter's `records`, or the `samples` of any predictive. `needs`: parts of the records beyond the
    evaluation sets (`train`, `valid`), the saved `head`, more than one of a predictive's `members`, or `flu`
    or `evidence` of the adapter.
    `variants`: names of the scores it gives; `probabilities`: those of them that are a probability of error.
    """

    version: int
    reads: Literal["records", "samples"]
    variants: list[str]
    needs: list[Literal["train", "valid", "head", "members", "flu", "evidence"]] = field(default_factory=list)
    probabilities: list[str] = field(default_factory=list)
    environment: Environment = "numeric"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.variants or set(self.probabilities) - set(self.variants):
            raise ValueError("variants: must name every score it gives, and those of probabilities among them")


@dataclass(frozen=True, kw_only=True)
class Predictive(Parametrised):
    """A source of M probability samples: `predict(inputs, evals, params, seed, size)`.

    `reads`: records, records of every `epochs`, a fitted `laplace` posterior, the `samples` of the predictive that its
    parameter `of` names, or the `adapter` itself on its model.
    `needs`: `members` if it pools the adapters of several seeds; of the adapter that it is plain `lora`, that it has
    `dropout`, or a `posterior`; the `valid` or `train` part. `sized`: whether its name ends in a number. `samples`:
    whether M > 1. `fit`: the parameters that decide a posterior which several predictives share.
    """

    version: int
    reads: Literal["records", "epochs", "laplace", "samples", "adapter"]
    sized: bool
    samples: bool
    needs: list[Literal["members", "lora", "dropout", "posterior", "valid", "train"]] = field(default_factory=list)
    fit: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.reads == "samples" and "of" not in self.params:
            raise ValueError("reads: samples needs the parameter of, a predictive's name")
        unknown = [name for name in self.fit if name not in self.params]
        if unknown:
            raise ValueError(f"fit: {', '.join(unknown)} must be among params")


@dataclass(frozen=True, kw_only=True)
class AdapterKind(Parametrised):
    """A kind of adapter: `attach`, `load`, `read_out` and `extra_loss`, as in `adapters.protocol.AdapterModule`.

    One that provides a `posterior`, from which weights are drawn, also has `adapters.protocol.PosteriorModule`'s.

    `section`: the key below a recipe's `adapter` that asks for this kind and holds its `params`; None for the kind of
    recipes without such a key. `provides`: what predictives and scores may need of it. `takes`: the parts of a recipe,
    beyond those for every kind, that it honours. `places`: the parameter that lists where (attention, ffn) it has
    layers of its own; None for a kind without such places. `low_rank`: whether it has a rank, α and dropout. `rule`:
    the workflow's rule that trains it.
    """

    section: str | None
    provides: list[Literal["lora", "flu", "posterior", "evidence"]] = field(default_factory=list)
    takes: list[Literal["prior", "loss.balance", "loss.calibration", "lm_head"]] = field(default_factory=list)
    places: str | None = None
    low_rank: bool = True
    rule: Literal["train_lora", "train_mixlora"] = "train_lora"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.places is not None and self.places not in self.params:
            raise ValueError("places: must be among params")


Plugin = Score | Predictive | AdapterKind
M = TypeVar("M")


def load(module: str, protocol: type[M]) -> M:
    """The plug-in in a `module` of the library, as the protocol of its sort: `AdapterModule`, `ScoreModule`, …."""
    return cast(M, importlib.import_module(module))
