"""A dataset file: where its rows come from, how a row becomes an example, how the examples are split.

Pure pydantic, for the grid to load without heavy imports. A dataset's examples have one canonical form
(`data/tasks.py`); `Dataset.preparation` gives exactly the part of a file that decides it.
"""

import math
from typing import Annotated, Any, Literal, Protocol, get_args

from pydantic import Field, model_validator

from peftuq.data.row_schema import Row, Word
from peftuq.data.source_schema import Hub, Kind, Registry
from peftuq.errors import UserError
from peftuq.strict import Once, PositiveFloat, PositiveInt, Strict

TaskKind = Literal["classification", "choice"]
Official = Literal["train", "validation", "test", "dev"]  # in the order that an example's id counts them
OFFICIAL: tuple[str, ...] = get_args(Official)
AS_CHOICE = "_choice"  # <dataset>_choice: a classification dataset asked as a multiple-choice question


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
    """Official splits that make up each part, or a part carved out of train: test first, then valid.

    `train_rows`: at most so many of the training examples that are left, drawn with the split's own seed; those of a
    smaller number are among those of a larger. (Added after specs had been written: it stands in those that have it.)
    """

    train: list[Official] = Field([])
    valid: list[Official] | Carve = Field([])
    test: Annotated[list[Official], Field(min_length=1)] | Carve
    train_rows: Annotated[PositiveInt | None, Field(exclude_if=lambda rows: rows is None)] = None

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
        return {**sizes, "train": min(sizes["train"], self.train_rows or sizes["train"])}


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

    `classes` are the labels' names in label order; for choice tasks, names for the options' positions. A set that is
    not `labelled` is for shift alone; texts without `classes` go with any.
    `question` is asked about each text when a classification dataset is read as choice.
    """

    version: PositiveInt
    title: str
    kind: TaskKind
    origin: str
    licence: str
    labelled: bool = True
    classes: Annotated[list[Word], Field(min_length=2, max_length=100_000), Once] = Field([])
    question: str = ""
    row: Row
    splits: Splits
    sources: Sources
    size: Size | None = None

    @model_validator(mode="after")
    def _complete(self) -> "Dataset":
        if not self.sources.offered:
            raise ValueError("sources: must offer at least one of hub, registry, local")
        if not self.classes and (self.labelled or self.kind == "choice"):
            raise ValueError("classes: is missing: name two or more")
        if self.kind == "choice" and self.row.text and not self.question:
            raise ValueError("question: is missing: what is asked about each text, for kind is choice")
        for kind, source in self.sources.offered.items():
            missing = [name for name in (source.splits or self.splits).used if name not in source.files]
            if missing:
                raise ValueError(f"sources.{kind}.files: no files for the split '{missing[0]}'")
            if not self.labelled and (source.splits or self.splits).train:
                raise ValueError(f"labelled: false, so nothing to train on: give 'splits' only 'test' (sources.{kind})")
            self._check_row(self._row(source), f"sources.{kind}")
        return self

    def _row(self, source: Source) -> Row:
        return source.row.over(self.row) if source.row else self.row

    def _check_row(self, row: Row, where: str) -> None:
        labels = (row.label is not None) + (row.rating is not None)
        if self.labelled and labels != 1:
            raise ValueError(f"row: needs either 'label' or 'rating', or labelled: false beside it ({where})")
        if not self.labelled and labels:
            raise ValueError(f"labelled: false, but 'row' has a label or rating: remove either ({where})")
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
        if not dataset.classes:
            raise UserError(f"{where}: {name}: config/datasets/{base}.yaml has no 'classes' to choose from")
        if not dataset.question:
            raise UserError(f"{where}: {name}: config/datasets/{base}.yaml has no 'question' to ask about its texts")
        return dataset.model_copy(update={"kind": "choice"})
