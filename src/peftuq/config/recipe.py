"""Contents of a recipe's file: how an adapter is trained.

A key with `LATER` came after adapters had been trained: at its default it stands in no spec, so that theirs stays.
"""

import math
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, model_validator

from peftuq.strict import AtMost, Name, NonNegativeFloat, Once, PositiveFloat, PositiveInt, Strict

Role = Literal["q", "k", "v", "o", "gate", "up", "down"]
Target = Literal[Role, "lm_head"]
LATER = Field(exclude_if=lambda value: not value)
GIVEN = Field(exclude_if=lambda value: value is None)


class Adapter(Strict):
    """Where the adapter goes and how large it is; kinds that are not of low rank have none of the three sizes.

    `targets` are keys of the model's `modules`, and `lm_head`: its rows of a choice task's answer tokens. Any other key
    is the section of a kind of adapter (`plugins.AdapterKind`), which holds that kind's parameters.
    """

    model_config = ConfigDict(extra="allow")

    targets: Annotated[list[Target], Field(min_length=1), Once]
    rank: Annotated[PositiveInt | None, AtMost(2**14), GIVEN] = None
    alpha: Annotated[PositiveFloat | None, GIVEN] = None
    dropout: Annotated[float | None, Field(ge=0, lt=1), GIVEN] = None
    top_layers: PositiveInt | None = None  # adapt only the last layers; None: all

    @property
    def sizes(self) -> dict[str, float | None]:
        """Those of a low rank; None where not given."""
        return {"rank": self.rank, "alpha": self.alpha, "dropout": self.dropout}

    @property
    def sections(self) -> dict[str, Any]:
        """The sections of kinds, by their key."""
        return {key: value for key, value in (self.model_extra or {}).items() if value is not None}


class Optimiser(Strict):
    """How long a training is: `epochs`, or `max_steps`, of which the last may end within an epoch."""

    lr: Annotated[PositiveFloat, AtMost(1e3)]
    weight_decay: NonNegativeFloat = 0.0
    batch_size: Annotated[PositiveInt, AtMost(2**20)]
    epochs: Annotated[PositiveInt | None, AtMost(10_000), LATER] = None
    max_steps: Annotated[PositiveInt | None, AtMost(10_000_000), LATER] = None
    schedule: Literal["linear", "constant"] = "linear"
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.0  # share of all steps
    clip: PositiveFloat | None = None  # largest gradient norm

    @model_validator(mode="after")
    def _one_length(self) -> "Optimiser":
        if (self.epochs is None) == (self.max_steps is None):
            raise ValueError("optimiser: needs either epochs or max_steps; null takes an extended recipe's away")
        return self

    def steps_an_epoch(self, examples: int) -> int:
        return math.ceil(examples / self.batch_size)

    def steps(self, examples: int) -> int:
        """All steps of a training on so many examples."""
        if self.max_steps is not None:
            return self.max_steps
        assert self.epochs is not None
        return self.epochs * self.steps_an_epoch(examples)

    def passes(self, examples: int) -> int:
        """How many times a training on so many examples begins an epoch; each ends with a validation."""
        return math.ceil(self.steps(examples) / self.steps_an_epoch(examples))


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
    """`answer`: cross-entropy of the answer token over the whole vocabulary, or over the answer options only.

    `label_smoothing`: ε, the share of the target that is spread evenly over a question's options, or the classes
    (Szegedy et al. 2016; 0.1 is usual). `focal`: γ of the factor (1 - p)^γ, p the answer's probability (Lin et al.
    2017; 2 is usual).
    """

    answer: Literal["vocabulary", "options"] = "vocabulary"
    label_smoothing: Annotated[float, Field(ge=0, lt=1), LATER] = 0.0
    focal: Annotated[NonNegativeFloat, AtMost(100), LATER] = 0.0
    balance: Balance | None = None
    calibration: Calibration | None = None

    @model_validator(mode="after")
    def _one_modification(self) -> "Loss":
        if self.label_smoothing and self.focal:
            raise ValueError("loss: label_smoothing and focal change the same cross-entropy: keep one")
        return self


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
    train_max_length: Annotated[PositiveInt | None, AtMost(2**20), LATER] = None  # of training alone, below max_length
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

    @model_validator(mode="after")
    def _answers_alone_are_read(self) -> "Recipe":
        """Rows of an adapted LM head that are no answer's stay as they are: nothing else may train or move them."""
        if self.adapts_lm_head and self.loss.answer != "options":
            raise ValueError("adapter.targets: lm_head needs loss.answer: options, the rows that it adapts")
        if self.adapts_lm_head and self.prior is not None and self.prior.diversity == "anchored":
            raise ValueError("prior.diversity: 'anchored' would move every row of lm_head: leave it out of the targets")
        return self

    @model_validator(mode="after")
    def _training_is_cut_shorter(self) -> "Recipe":
        if self.train_max_length is not None and self.train_max_length > self.max_length:
            raise ValueError("train_max_length: must be at most max_length, which then holds for evaluation")
        return self

    def cutoff(self, max_length: int) -> int:
        """The most tokens of a training example, where an input may have `max_length`."""
        return min(max_length, self.train_max_length or max_length)

    @property
    def adapts_lm_head(self) -> bool:
        return self.adapter is not None and "lm_head" in self.adapter.targets

    @property
    def parts(self) -> list[str]:
        """The parts that not every kind of adapter takes, of those that are given."""
        given = {"prior": self.prior, "loss.balance": self.loss.balance, "loss.calibration": self.loss.calibration}
        parts = [name for name, value in given.items() if value is not None]
        return [*parts, "lm_head"] if self.adapts_lm_head else parts


class Sweep(Strict):
    """One recipe a value: `key` is the dotted path of the number that varies."""

    key: Annotated[str, Field(pattern=r"^[a-z_]+(\.[a-z_]+)+$")]
    values: Annotated[list[int | float], Field(min_length=1)]
