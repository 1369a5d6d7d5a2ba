"""Every program that runs a model, for every architecture and kind of task, as a grid of the workflow's own terms."""

import itertools
from typing import NamedTuple

from tiny import DECODERS, ENCODERS

PRECISIONS = ("fp32", "bf16")
# What runs on an adapter of each kind; a mixture has neither a plain LoRA to sample around nor a curvature.
SAMPLED = {"lora": ("mc_dropout-2", "spuq-4"), "mixlora": ("spuq-4",), "untuned": ("spuq-4",)}
POSTERIOR = ("laplace", "laplace_probit", "laplace_valid")
VARIATIONAL = ("blob", "scalabl", "dalora", "swag")  # kinds of adapter with a posterior of their own
ONE = ("choice", "decoder", "llama")  # what they are tried on, and TFB
PROGRAMS = {
    "untuned": ("extract", "spuq-4"),
    "lora": ("train", "extract", "gold_features", *SAMPLED["lora"], "fit_laplace", *POSTERIOR),
    "mixlora": ("train", "extract", "spuq-4"),
    **dict.fromkeys(VARIATIONAL, ("train", "extract", "posterior_samples-2")),
}


class Model(NamedTuple):
    """A kind of adapter on an architecture, for a kind of task."""

    adapter: str
    task: str
    family: str
    architecture: str

    def __str__(self) -> str:
        return f"{self.adapter}-{self.task}-{self.family}_{self.architecture}"

    @property
    def recipe(self) -> str:
        return f"{self.adapter}_{self.family}" if self.adapter == "mixlora" else self.adapter

    @property
    def dataset(self) -> str:
        return "words" if self.task == "classification" else "words_choice"


ASKED = [("classification", "encoder", name) for name in ENCODERS]
ASKED += [(task, "decoder", name) for task, name in itertools.product(("classification", "choice"), DECODERS)]
# A classifier that nobody trained is refused when the workflow is planned.
MODELS = [
    Model(kind, *asked)
    for kind, asked in itertools.product(PROGRAMS, ASKED)
    if (kind, asked[0]) != ("untuned", "classification") and (kind not in VARIATIONAL or asked == ONE)
]
TRAINED = [model for model in MODELS if model.adapter != "untuned"]
RUNS = [(program, model) for model in MODELS for program in PROGRAMS[model.adapter]]
RUNS += [("tfb-2", model) for model in MODELS if model.adapter == "lora" and model[1:] == ONE]
