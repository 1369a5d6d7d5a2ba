"""How a source's row is read: the part of a dataset file that says what a text, an option and a label are."""

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, model_validator

from peftuq.data import templates
from peftuq.strict import Once, Strict

Word = Annotated[str, Field(min_length=1)]


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
