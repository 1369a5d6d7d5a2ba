"""The task of a job that runs a model: the part of its spec that decides what the model reads."""

from typing import Literal

from pydantic import Field, PositiveInt, model_validator

from peftuq.data.prompts import Template
from peftuq.strict import Strict

Kind = Literal["classification", "choice"]


class Task(Strict):
    """`classes` in the order of their labels; of a choice task as many as the longest question has options.

    `max_length`: tokens of an input; `batch_tokens`: of a batch at inference, padding counted; `precision`: of the
    backbone, resolved. `prompt`: of a choice task only.
    """

    kind: Kind
    classes: list[str] = Field(min_length=2)
    max_length: PositiveInt
    prompt: Template | None
    precision: Literal["bf16", "fp32"]
    batch_tokens: PositiveInt

    @model_validator(mode="after")
    def _a_choice_has_a_prompt(self) -> "Task":
        if (self.prompt is None) != (self.kind == "classification"):
            raise ValueError("prompt: must be given exactly for kind: choice")
        return self
