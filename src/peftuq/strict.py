"""The ground of every validated model: no unknown keys, no later changes."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.]*$")]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
