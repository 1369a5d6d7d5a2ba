"""Contents of `config/`: one pydantic model per kind of file (recipes: `recipe.py`; datasets: `data/schema.py`)."""

from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from peftuq.data.source_schema import Hub, Kind, Local, Registry
from peftuq.strict import Name, Strict

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
