"""A dataset file: where its rows come from, how a row becomes an example, how the examples are split.

Pure pydantic, for the grid to load without heavy imports. A dataset's examples have one canonical form
(`data/tasks.py`); `Dataset.preparation` gives exactly the part of a file that decides it.
"""

import math
from itertools import pairwise
from typing import Annotated, Any, Literal, Protocol, get_args

from pydantic import Field, model_validator

from peftuq.data import templates
from peftuq.data.source_schema import Hub, Kind, Registry
from peftuq.errors import UserError
from peftuq.strict import Once, PositiveFloat, PositiveInt, Strict

Word = Annotated[str, Field(min_length=1)]

TaskKind = Literal["classification", "choice"]
Official = Literal["train", "validation", "test", "dev"]  # in the order that an example's id counts them
OFFICIAL: tuple[str, ...] = get_args(Official)
AS_CHOICE = "_choice"  # <dataset>_choice: a classification dataset asked as a multiple-choice question


# -- rows ---------------------------------------------------------------------------------------------


class Label(Strict):
    """The label is the value of `column`: an index, or its place in `values`, or in the row's list `among`.

    {column: label}    {column: answer, values: [true, false]}    {column: answerKey, among: choices.label}
    """

    column: Word
    values: Annotated[list[bool | int | str], Once] = Field([])
    among: str = ""

    @model_validator(mode="after")
    def _one(self) -> "Label":
        if self.values and self.among:
            raise ValueError("row.label: 'values' and 'among' both say what a label may be: keep one")
        return self


class Rating(Strict):
    """The label is how many of `edges` the sum of the columns exceeds; sums inside `drop` are left out.

    {sum: [toxicity_ai, toxicity_human], edges: [5.5]}    {sum: [rating], edges: [0], drop: [-0.5, 0.5]}
    """

    sum: Annotated[list[Word], Field(min_length=1), Once]
    edges: list[float] = Field(min_length=1)
    drop: Annotated[tuple[float, float], Field(strict=False)] | None = None

    @model_validator(mode="after")
    def _ascending(self) -> "Rating":
        if any(low >= high for low, high in pairwise(self.edges)):
            raise ValueError("row.rating.edges: must ascend")
        if self.drop is not None and self.drop[0] >= self.drop[1]:
            raise ValueError("row.rating.drop: must be [low, high] with low < high")
        return self


class Delimited(Strict):
    """Options in one string: `column`, split at `delimiter`, is "<key><key_end><text>" each, in key order."""

    column: Word
    delimiter: Word
    key_end: Word


class Row(Strict):
    """How a source's row is read. Texts are templates over its columns, such as "{question}?".

    `options` are a list in the row (its path, such as choices.text), templates or fixed texts, such as ["{A}", "{B}"],
    or delimited.
    """

    text: str = ""
    clean: list[Literal["headers", "footers", "quotes"]] = Field([])
    context: str = ""
    question: str = ""
    options: str | list[str] | Delimited = ""
    label: Label | None = None
    rating: Rating | None = None
    where: dict[str, Annotated[list[str], Field(min_length=1)]] = Field({})  # only rows with one of these values there

    @property
    def texts(self) -> dict[str, str]:
        """The templates, by key."""
        options = self.options if isinstance(self.options, list) else []
        listed = {f"options.{place}": option for place, option in enumerate(options)}
        return {"text": self.text, "context": self.context, "question": self.question, **listed}

    @model_validator(mode="after")
    def _templates(self) -> "Row":
        for key, template in self.texts.items():
            try:
                found = templates.fields(template)
            except ValueError as error:
                raise ValueError(f"row.{key}: {error}") from error
            if key in ("text", "context") and template and not found:
                raise ValueError(f"row.{key}: '{template}' would be the same in every example: write a column in "
                                 "braces, such as '{text}'")  # fmt: skip
            if key == "question" and template.isidentifier():
                raise ValueError(
                    f"row.question: '{template}' is no question: write a column in braces, '{{{template}}}'"
                )
        if isinstance(self.options, list) and 0 < len(self.options) < 2:
            raise ValueError("row.options: must be two or more, or the name of a column that holds a list")
        return self

    def over(self, base: "Row") -> "Row":
        """`base` with the keys that were given here in place of its own."""
        return base.model_copy(update={key: getattr(self, key) for key in self.model_fields_set})


# -- splits -------------------------------------------------------------------------------------------


class Carve(Strict):
    """A seeded random part of train: a share of its rows (rounded up) or a number of them."""

    share: Annotated[float, Field(gt=0, lt=1)] | None = None
    rows: PositiveInt | None = None

    @model_validator(mode="after")
    def _one(self) -> "Carve":
        if (self.share is None) == (self.rows is None):
            raise ValueError("splits: a carved part needs either 'share' or 'rows'")
        return self


class Splits(Strict):
    """Official splits that make up each part, or a part carved out of train: test first, then valid."""

    train: list[Official] = Field([])
    valid: list[Official] | Carve = Field([])
    test: Annotated[list[Official], Field(min_length=1)] | Carve

    @property
    def used(self) -> list[Official]:
        return [name for part in (self.train, self.valid, self.test) if isinstance(part, list) for name in part]

    @model_validator(mode="after")
    def _disjoint(self) -> "Splits":
        if len(set(self.used)) < len(self.used):
            raise ValueError("splits: an official split may serve one of train, valid and test only")
        if "test" in self.used and not (isinstance(self.test, list) and "test" in self.test):
            raise ValueError("splits: official test rows are for 'test' only, never for training or selection")
        if bool(self.train) != bool(self.valid):
            raise ValueError("splits: 'train' and 'valid' come together or not at all")
        if not self.train and isinstance(self.test, Carve):
            raise ValueError("splits: 'test' is carved out of 'train', which is empty")
        return self

    def sizes(self, rows: dict[Official, int]) -> dict[str, int]:
        """Rows of train, valid and test, from those of the official splits: what `data/splits.py` will draw."""
        sizes = {"train": sum(rows[name] for name in self.train)}
        for part, rule in (("test", self.test), ("valid", self.valid)):
            if isinstance(rule, Carve):
                sizes[part] = rule.rows if rule.rows is not None else math.ceil(rule.share * sizes["train"])
                sizes["train"] -= sizes[part]
            else:
                sizes[part] = sum(rows[name] for name in rule)
        return sizes


class Size(Strict):
    """How large a dataset is: what `plan` counts with before anything is fetched.

    `rows` of each official split, without those that the row's rules leave out; `tokens`: mean length of an example, at
    most 512 each, as its text or in the prompt `letters`, in BERT's word pieces.
    """

    rows: dict[Official, PositiveInt] = Field(min_length=1)
    tokens: PositiveFloat


# -- files --------------------------------------------------------------------------------------------


class Source(Strict):
    """The files of each official split, and what a source of this dataset does differently from the others.

    `files` are patterns inside the fetched folder; `format` is told by a file's ending unless given; `header`
    names the columns of a tsv without one. `row` (key by key) and `splits` replace the dataset's own.
    """

    files: dict[Official, Word] = Field(min_length=1)
    format: Literal["tsv", "olmo"] | None = None
    header: Annotated[list[Word], Once] = Field([])
    row: Row | None = None
    splits: Splits | None = None
    note: str = ""

    @model_validator(mode="after")
    def _files(self) -> "Source":
        if len(set(self.files.values())) < len(self.files):
            raise ValueError(
                "sources: 'files' names the same files for two splits, whose rows would be trained and tested on"
            )
        if (self.format == "tsv") != bool(self.header):
            raise ValueError("sources: 'header' must be given exactly where 'format' is tsv")
        return self


class HubSource(Source):
    fetch: Hub


class RegistrySource(Source):
    fetch: Registry


class LocalSource(Source):
    folder: str  # below the configuration's local_root


class Sources(Strict):
    hub: HubSource | None = None
    registry: RegistrySource | None = None
    local: LocalSource | None = None

    @property
    def offered(self) -> dict[Kind, Source]:
        return {kind: source for kind in get_args(Kind) if (source := getattr(self, kind)) is not None}


class Preparation(Strict):
    """All that decides a dataset's prepared examples: what `tasks.prepare` takes, and a job's identity."""

    name: str
    version: PositiveInt
    kind: TaskKind
    classes: list[str]
    question: str
    source: Kind
    files: dict[Official, str]
    format: Literal["tsv", "olmo"] | None
    header: list[str]
    row: Row
    splits: Splits
    note: str
    limit: dict[Literal["train", "valid", "test"], PositiveInt] = Field({})


class Dataset(Strict):
    """A dataset file.

    `classes` are the labels' names in label order; for choice tasks, names for the options' positions.
    `question` is asked about each text when a classification dataset is read as choice.
    """

    version: PositiveInt
    title: str
    kind: TaskKind
    origin: str
    licence: str
    classes: Annotated[list[Word], Field(min_length=2, max_length=100_000), Once]
    question: str = ""
    row: Row
    splits: Splits
    sources: Sources
    size: Size | None = None

    @model_validator(mode="after")
    def _complete(self) -> "Dataset":
        if not self.sources.offered:
            raise ValueError("sources: must offer at least one of hub, registry, local")
        if self.kind == "choice" and self.row.text and not self.question:
            raise ValueError("question: is missing: what is asked about each text, for kind is choice")
        for kind, source in self.sources.offered.items():
            missing = [name for name in (source.splits or self.splits).used if name not in source.files]
            if missing:
                raise ValueError(f"sources.{kind}.files: no files for the split '{missing[0]}'")
            self._check_row(self._row(source), f"sources.{kind}")
        return self

    def _row(self, source: Source) -> Row:
        return source.row.over(self.row) if source.row else self.row

    def _check_row(self, row: Row, where: str) -> None:
        if (row.label is None) == (row.rating is None):
            raise ValueError(f"row: needs either 'label' or 'rating' ({where})")
        if row.label and row.label.values and len(row.label.values) != len(self.classes):
            raise ValueError(f"row.label.values: {len(self.classes)} classes need {len(self.classes)} values ({where})")
        if row.rating and not row.text:
            raise ValueError(f"row.rating: needs 'text': a question's answer is a label ({where})")
        if row.rating and len(row.rating.edges) != len(self.classes) - 1:
            raise ValueError(f"row.rating.edges: {len(self.classes)} classes need {len(self.classes) - 1} edges")
        asked = [bool(row.question), bool(row.options)]
        if any(asked) if row.text else not all(asked):
            raise ValueError(f"row: needs either 'text', or 'question' and 'options' ({where})")
        if self.kind == "classification" and not row.text:
            raise ValueError(f"row: a classification dataset needs 'text' ({where})")

    def splits_of(self, kind: Kind) -> Splits:
        """The splits as one of its sources has them."""
        return self.sources.offered[kind].splits or self.splits

    def preparation(self, name: str, kind: Kind, limit: dict[str, int]) -> Preparation:
        """Everything that `tasks.prepare` needs to prepare the dataset from one of its sources, and nothing else."""
        source: Source = self.sources.offered[kind]
        shared = {key: getattr(source, key) for key in ("files", "format", "header", "note")}
        return Preparation(
            name=name,
            version=self.version,
            kind=self.kind,
            classes=self.classes,
            question=self.question if self.kind == "choice" else "",
            source=kind,
            row=self._row(source),
            splits=self.splits_of(kind),
            limit=limit,
            **shared,
        )


# -- looking datasets up ------------------------------------------------------------------------------


class Folder(Protocol):
    names: list[str]

    def get(self, name: str, what: str, where: str) -> Any: ...


class Datasets:
    """Datasets by name: those of a folder, and `<name>_choice` for each that is a classification dataset."""

    def __init__(self, folder: Folder):
        self._folder = folder

    def get(self, name: str, where: str) -> Dataset:
        """The dataset `name`; `UserError`, prefixed with `where`, if there is none."""
        base = name.removesuffix(AS_CHOICE)
        if base != name and {name, base} <= set(self._folder.names):
            raise UserError(
                f"{where}: {name} is both config/datasets/{name}.yaml and {base} asked as a question: rename the file"
            )
        if name in self._folder.names or base == name:
            return self._folder.get(name, "dataset", where)
        dataset = self._folder.get(base, "dataset", where)
        if dataset.kind != "classification":
            raise UserError(f"{where}: {base} is a choice dataset already: write '{base}', not '{name}'")
        if not dataset.question:
            raise UserError(f"{where}: {name}: config/datasets/{base}.yaml has no 'question' to ask about its texts")
        return dataset.model_copy(update={"kind": "choice"})
