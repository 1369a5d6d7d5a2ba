"""Contents of `config/`: one pydantic model per kind of file (recipes: `recipe.py`; datasets: `data/schema.py`)."""

import os.path
import re
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, Field, model_validator

from peftuq.config.recipe import Role
from peftuq.data.model_files import positions
from peftuq.data.prompts import Template
from peftuq.data.source_schema import Hub, Kind, Local, Registry
from peftuq.strict import AtMost, Name, Once, PositiveFloat, PositiveInt, Strict

NonEmpty = Annotated[list[Name], Field(min_length=1), Once]
Seed = Annotated[int, Field(ge=0), AtMost(2**31 - 1)]
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
    modules: dict[Role, str] = Field(min_length=1)
    max_length: Annotated[PositiveInt, AtMost(2**24)]
    paper_names: dict[Paper, str] = {}  # the model's key in each paper's tables

    @model_validator(mode="after")
    def _complete(self) -> "Model":
        if not self.sources.offered:
            raise ValueError("sources: must offer at least one of hub, registry, local")
        for role, pattern in self.modules.items():
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"modules.{role}: '{pattern}' is not a regular expression ({error})") from error
            if not pattern:
                raise ValueError(f"modules.{role}: is empty: give the ending of its layers' names, or remove the key")
        return self

    @model_validator(mode="after")
    def _sizes(self) -> "Model":
        if not isinstance(self.config.get("model_type"), str) or not self.config["model_type"]:
            raise ValueError("config.model_type: must be the architecture's name in transformers, such as bert")
        for key in ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size"):
            if key not in self.config:
                raise ValueError(f"config.{key}: is missing: take it from the model's config.json")
        for key in SIZES & self.config.keys():
            size = self.config[key]
            if not (type(size) is int and 0 < size <= 2**31):
                raise ValueError(f"config.{key}: must be a positive integer, below 2³¹")
        most = positions(self.config)
        if most is not None and self.max_length > most:
            raise ValueError(f"max_length: must be at most {most}, by config.max_position_embeddings")
        return self


SIZES = {
    *("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads"),
    *("intermediate_size", "head_dim", "max_position_embeddings", "type_vocab_size", "embedding_size"),
}


# -- prompts --------------------------------------------------------------------------------------------


class Prompt(Template):
    """A prompt file: a template, and the prompts that take its place for the datasets that are asked otherwise.

    datasets: {boolq: mixlora_boolq}    by the dataset trained on, whose prompt its shift sets are asked with, too
    """

    datasets: dict[Name, Name] = {}


# -- suites and the configuration itself ----------------------------------------------------------------


class Grid(Strict):
    """A full product: every model × dataset × recipe × seed, with every predictive and score."""

    models: NonEmpty
    datasets: NonEmpty
    recipes: NonEmpty
    seeds: Annotated[PositiveInt, AtMost(1000)] | Annotated[list[Seed], Field(min_length=1, max_length=1000), Once]
    shifts: dict[Name, NonEmpty] = {}
    predictives: Annotated[list[str], Field(min_length=1), Once]
    scores: NonEmpty

    @model_validator(mode="after")
    def _shifts_are_other_sets(self) -> "Grid":
        for dataset, shifts in self.shifts.items():
            if dataset in shifts:
                raise ValueError(f"shifts.{dataset}: {dataset} is the set trained on, whose test split is evaluated "
                                 "anyway: remove it")  # fmt: skip
        return self

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
    seed: Seed = 0
    inputs: Annotated[PositiveInt, AtMost(4096)] = 16
    hidden: Annotated[PositiveInt, AtMost(4096)] = 16
    rank: Annotated[PositiveInt, AtMost(4096)] = 4
    alpha: PositiveFloat = 4.0
    half_lambda: PositiveFloat = 1.0
    dropout: Annotated[float, Field(gt=0, lt=1)] = 0.1
    examples: Annotated[PositiveInt, AtMost(100_000)] = 200
    chains: Annotated[int, Field(ge=2), AtMost(64)] = 4
    warmup: Annotated[PositiveInt, AtMost(100_000)] = 500
    draws: Annotated[int, Field(ge=4), AtMost(100_000)] = 500


class Suite(Strict):
    version: PositiveInt
    title: str
    sections: Annotated[list[Paper], Field(min_length=1), Once]
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
    models: Annotated[list[Name], Once] = []  # left out


def _folder(path: str) -> str:
    """One spelling of a folder's path. `ValueError` for what is none, or what only a shell would make one."""
    if not path.strip():
        raise ValueError("is empty: name a folder, such as results")
    if path != path.strip() or not path.isprintable():
        raise ValueError("begins or ends in a space, or holds an unprintable character: name a folder, such as results")
    if path.startswith("~") or "$" in path:
        raise ValueError("is not expanded as in a shell: write the path out")
    normal = os.path.normpath(path)
    if os.path.dirname(normal) == normal:
        raise ValueError("is the root of the file system: name a folder, such as results")
    return normal


Folder = Annotated[str, AfterValidator(_folder)]


class Config(Strict):
    suites: NonEmpty
    results: Folder = "results"
    reports: Folder = "reports"
    downloads: Folder = "downloads"
    sources: Annotated[list[Kind], Field(min_length=1), Once]  # the first that a file offers is used
    local_root: str | None = None
    limit: Limit = Limit()
    limits: dict[Name, Limit] = {}  # dataset → its own, in place of `limit`
    trim: Trim = Trim()
    methods: dict[Name, dict[str, Any]] = {}  # score or predictive → parameters that differ from its defaults
    precision: Literal["auto", "bf16", "fp32"] | None = None  # of all recipes; None: each recipe's own
    eval_batch_tokens: PositiveInt = 4096
    threads: Annotated[PositiveInt, AtMost(1024)] = 1  # per computing job
    bootstrap: Annotated[PositiveInt, AtMost(100_000)] = 1000

    @model_validator(mode="after")
    def _local_needs_a_root(self) -> "Config":
        if "local" in self.sources and not self.local_root:
            raise ValueError("local_root: must name the folder of the local datasets when sources lists 'local'")
        return self

    @model_validator(mode="after")
    def _folders_of_their_own(self) -> "Config":
        kept = {key: os.path.realpath(getattr(self, key)) for key in ("results", "reports", "downloads")}
        for key in ("reports", "downloads"):
            if kept[key] == kept["results"]:
                raise ValueError(f"{key}: is the same folder as results, which may be removed: name another")
        if kept["downloads"] == kept["reports"]:
            raise ValueError("downloads: is the same folder as reports: name another")
        for key, folder in kept.items():
            if os.path.lexists(folder) and not os.path.isdir(folder):
                raise ValueError(f"{key}: '{getattr(self, key)}' is a file: name a folder")
        return self
