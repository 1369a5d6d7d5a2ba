"""Contents of a recipe's file: how an adapter is trained."""

import math
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, model_validator

from peftuq.strict import AtMost, Name, NonNegativeFloat, Once, PositiveFloat, PositiveInt, Strict

Role = Literal["q", "k", "v", "o", "gate", "up", "down"]


class Adapter(Strict):
    """Where the adapter goes and how large it is; `targets` are keys of the model's `modules`.

    Any other key is the section of a kind of adapter (`plugins.AdapterKind`), which holds that kind's parameters.
    """

    model_config = ConfigDict(extra="allow")

    targets: Annotated[list[Role], Field(min_length=1), Once]
    rank: Annotated[PositiveInt, AtMost(2**14)]
    alpha: PositiveFloat
    dropout: Annotated[float, Field(ge=0, lt=1)]
    top_layers: PositiveInt | None = None  # adapt only the last layers; None: all

    @property
    def sections(self) -> dict[str, Any]:
        """The sections of kinds, by their key."""
        return {key: value for key, value in (self.model_extra or {}).items() if value is not None}


class Optimiser(Strict):
    lr: Annotated[PositiveFloat, AtMost(1e3)]
    weight_decay: NonNegativeFloat = 0.0
    batch_size: Annotated[PositiveInt, AtMost(2**20)]
    epochs: Annotated[PositiveInt, AtMost(10_000)]
    schedule: Literal["linear", "constant"] = "linear"
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.0  # share of all steps
    clip: PositiveFloat | None = None  # largest gradient norm

    def steps(self, examples: int) -> int:
        """All steps of a training on so many examples."""
        return math.ceil(examples / self.batch_size) * self.epochs


class Balance(Strict):
    """Load balancing of a mixture: adds `weight`·`coefficient`·E·Σ F_i P_i (UQ4CT eq. 15-16; γ and a).

    `count`: F counts a token's likeliest expert (the paper) or all of its top K (its code). `over`: the mean or sum of
    the blocks' losses, or one loss of counts pooled over all blocks.
    """

    weight: NonNegativeFloat = 1.0
    coefficient: NonNegativeFloat = 0.01
    count: Literal["argmax", "topk"] = "argmax"
    over: Literal["mean", "sum", "pooled"] = "mean"


FluTokens = Literal["mean", "last"]  # in the order of the last axis of an output's `flu`


class Calibration(Strict):
    """The functional-level calibration loss: adds β·(1[correct] − FLU)² (UQ4CT eq. 13).

    `weight`: β; with the `incremental` schedule β·min(1, step / `steps`). `flu_tokens`: FLU is the mean over the
    prompt's tokens, or that of the last one.
    """

    weight: NonNegativeFloat = 1.0
    schedule: Literal["constant", "incremental"] = "constant"
    steps: PositiveInt = 50
    flu_tokens: FluTokens = "mean"


class Loss(Strict):
    """`answer`: cross-entropy of the answer token over the whole vocabulary, or over the answer options only."""

    answer: Literal["vocabulary", "options"] = "vocabulary"
    balance: Balance | None = None
    calibration: Calibration | None = None


class Prior(Strict):
    """A Gaussian prior on the adapter's parameters: adds `half_lambda`·‖·‖² to the loss (LoRA ensembles, section 5.3).

    `over`: the factors A and B, or their `product` BA. `scale`: `posterior` divides by the number of training
    examples, so that loss + prior is the negative log posterior per example; `reference` does not. `diversity`:
    `anchored` centres each member's prior on its own draw from it (Pearce et al. 2020).
    """

    over: Literal["factors", "product"] = "factors"
    half_lambda: NonNegativeFloat
    scale: Literal["posterior", "reference"] = "posterior"
    diversity: Literal["none", "anchored"] = "none"

    @model_validator(mode="after")
    def _anchors_need_factors(self) -> "Prior":
        if self.diversity == "anchored" and (self.over == "product" or self.half_lambda == 0):
            raise ValueError("prior.diversity: 'anchored' needs over: factors and half_lambda > 0")
        return self


class Recipe(Strict):
    """How an adapter is trained."""

    version: PositiveInt
    adapter: Adapter | None  # None: nothing is trained, the backbone is evaluated as it is
    optimiser: Optimiser | None = None
    loss: Loss = Loss()
    prior: Prior | None = None
    epoch_records: PositiveInt | None = None  # train rows that are recorded each epoch, beside all evaluation sets
    prompt: Name = "letters"
    max_length: Annotated[PositiveInt, AtMost(2**20)] = 512
    precision: Literal["auto", "bf16", "fp32"] = "auto"  # auto: what the planning machine is fast in
    spectral_norm: Literal["none", "train"] = "none"
    micro_batch_tokens: PositiveInt = 8192  # a batch with more, padding counted, is accumulated in parts
    gpus: PositiveInt = 1  # processes that share each batch, a GPU each
    gradient_checkpointing: bool = False
    checkpoint_steps: PositiveInt = 200

    @model_validator(mode="after")
    def _adapter_needs_an_optimiser(self) -> "Recipe":
        if (self.adapter is None) != (self.optimiser is None):
            raise ValueError("optimiser: must be given exactly where adapter is not null")
        return self

    @model_validator(mode="after")
    def _every_gpu_gets_examples(self) -> "Recipe":
        if self.gpus > (self.optimiser.batch_size if self.optimiser is not None else 1):
            raise ValueError("gpus: must be at most optimiser.batch_size, and 1 where adapter is null")
        return self

    @property
    def parts(self) -> list[str]:
        """The parts that not every kind of adapter takes, of those that are given."""
        given = {"prior": self.prior, "loss.balance": self.loss.balance, "loss.calibration": self.loss.calibration}
        return [name for name, value in given.items() if value is not None]


class Sweep(Strict):
    """One recipe a value: `key` is the dotted path of the number that varies."""

    key: Annotated[str, Field(pattern=r"^[a-z_]+(\.[a-z_]+)+$")]
    values: Annotated[list[int | float], Field(min_length=1)]
