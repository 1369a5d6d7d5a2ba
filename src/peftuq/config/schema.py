"""Contents of `config/`: one pydantic model per kind of file (dataset files: `data/schema.py`)."""

from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import ConfigDict, Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from peftuq.data.source_schema import Hub, Kind, Local, Registry, Strict

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.]*$")]
NonEmpty = Annotated[list[Name], Field(min_length=1)]
PAPERS = tuple(sorted(file.parent.name for file in (Path(__file__).parents[1] / "report").glob("*/section.py")))
Paper = Literal[PAPERS]  # a paper that the report has a section on: one file each, found without being imported


# -- models -------------------------------------------------------------------------------------------


class ModelSources(Strict):
    hub: Hub | None = None
    registry: Registry | None = None
    local: Local | None = None

    @property
    def offered(self) -> dict[Kind, Hub | Registry | Local]:
        return {kind: source for kind in get_args(Kind) if (source := getattr(self, kind)) is not None}


class Model(Strict):
    """A pretrained backbone: where its files come from, its shape, and the names its layers go by."""

    version: PositiveInt
    title: str
    kind: Literal["encoder", "decoder"]
    licence: str
    note: str = ""
    sources: ModelSources
    gguf: str | None = None  # a GGUF file among the source's files: dequantised once, when the model is fetched
    config: dict[str, Any]  # its transformers configuration: `model_type` and the sizes that `plan` counts with
    modules: dict[Literal["q", "k", "v", "o", "gate", "up", "down"], str] = Field(min_length=1)
    max_length: PositiveInt
    paper_names: dict[Paper, str] = {}  # the model's key in each paper's tables


# -- recipes ------------------------------------------------------------------------------------------


class Adapter(Strict):
    """Where the adapter goes and how large it is; `targets` are keys of the model's `modules`.

    Any other key is the section of a kind of adapter (`plugins.AdapterKind`), which holds that kind's parameters.
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    targets: list[Literal["q", "k", "v", "o", "gate", "up", "down"]] = Field(min_length=1)
    rank: PositiveInt
    alpha: PositiveFloat
    dropout: Annotated[float, Field(ge=0, lt=1)]
    top_layers: PositiveInt | None = None  # adapt only the last layers; None: all

    @property
    def sections(self) -> dict[str, Any]:
        """The sections of kinds, by their key."""
        return {key: value for key, value in (self.model_extra or {}).items() if value is not None}


class Optimiser(Strict):
    lr: PositiveFloat
    weight_decay: NonNegativeFloat = 0.0
    batch_size: PositiveInt
    epochs: PositiveInt
    schedule: Literal["linear", "constant"] = "linear"
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.0  # share of all steps
    clip: PositiveFloat | None = None  # largest gradient norm


class Balance(Strict):
    """Load balancing of a mixture: adds `weight`·`coefficient`·E·Σ F_i P_i (UQ4CT eq. 15-16; γ and a).

    `count`: F counts a token's likeliest expert (the paper) or all of its top K (its code). `over`: the mean or sum of
    the blocks' losses, or one loss of counts pooled over all blocks.
    """

    weight: NonNegativeFloat = 1.0
    coefficient: NonNegativeFloat = 0.01
    count: Literal["argmax", "topk"] = "argmax"
    over: Literal["mean", "sum", "pooled"] = "mean"


class Calibration(Strict):
    """The functional-level calibration loss: adds β·(1[correct] − FLU)² (UQ4CT eq. 13).

    `weight`: β; with the `incremental` schedule β·min(1, step / `steps`). `flu_tokens`: FLU is the mean over the
    prompt's tokens, or that of the last one.
    """

    weight: NonNegativeFloat = 1.0
    schedule: Literal["constant", "incremental"] = "constant"
    steps: PositiveInt = 50
    flu_tokens: Literal["mean", "last"] = "mean"


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
    max_length: PositiveInt = 512
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
    values: list[float] = Field(min_length=1)


# -- suites and the configuration itself ----------------------------------------------------------------


class Grid(Strict):
    """A full product: every model × dataset × recipe × seed, with every predictive and score."""

    models: NonEmpty
    datasets: NonEmpty
    recipes: NonEmpty
    seeds: PositiveInt | Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)]
    shifts: dict[Name, NonEmpty] = {}
    predictives: list[str] = Field(min_length=1)
    scores: NonEmpty

    @property
    def seed_list(self) -> list[int]:
        return list(range(self.seeds)) if isinstance(self.seeds, int) else list(self.seeds)


class Gold(Strict):
    """Compare approximate posteriors with the exact one, in a network on an adapter's features that is small enough.

    `inputs` principal components, `hidden` units, LoRA of `rank` and `alpha` on both layers under the prior of
    `half_lambda` (see `Prior`), at most `examples` examples; `chains` of `draws` after `warmup`.
    """

    model: Name
    dataset: Name
    recipe: Name
    seed: Annotated[int, Field(ge=0)] = 0
    inputs: PositiveInt = 16
    hidden: PositiveInt = 16
    rank: PositiveInt = 4
    alpha: PositiveFloat = 4.0
    half_lambda: PositiveFloat = 1.0
    dropout: Annotated[float, Field(gt=0, lt=1)] = 0.1
    examples: PositiveInt = 200
    chains: Annotated[int, Field(ge=2)] = 4
    warmup: PositiveInt = 500
    draws: Annotated[int, Field(ge=4)] = 500


class Suite(Strict):
    version: PositiveInt
    title: str
    sections: list[Paper] = Field(min_length=1)
    grids: list[Grid] = Field(min_length=1)
    gold: Gold | None = None


class Limit(Strict):
    """At most this many rows a split; drawn with the split's own seed."""

    train: PositiveInt | None = None
    valid: PositiveInt | None = None
    test: PositiveInt | None = None
    shift: PositiveInt | None = None


class Trim(Strict):
    """Parts left out of every grid, so that a run fits its budget: `peftuq plan --budget-hours` writes it."""

    seeds: PositiveInt | None = None  # at most so many
    members: PositiveInt | None = None  # predictives that pool more adapters
    sweeps: Literal["keep", "leave out"] = "keep"
    models: list[Name] = []  # left out


class Config(Strict):
    suites: NonEmpty
    results: str = "results"
    reports: str = "reports"
    downloads: str = "downloads"
    sources: list[Kind] = Field(min_length=1)  # the first that a file offers is used
    local_root: str | None = None
    limit: Limit = Limit()
    limits: dict[Name, Limit] = {}  # dataset → its own, in place of `limit`
    trim: Trim = Trim()
    methods: dict[Name, dict[str, Any]] = {}  # score or predictive → parameters that differ from its defaults
    precision: Literal["auto", "bf16", "fp32"] | None = None  # of all recipes; None: each recipe's own
    eval_batch_tokens: PositiveInt = 4096
    threads: PositiveInt = 1  # per computing job
    bootstrap: PositiveInt = 1000

    @model_validator(mode="after")
    def _local_needs_a_root(self) -> "Config":
        if "local" in self.sources and not self.local_root:
            raise ValueError("local_root: must name the folder of the local datasets when sources lists 'local'")
        return self
