"""The ground of every validated model: no unknown keys, no later changes, no value of another type.

`true` is no integer, `"5"` no number, and no number is infinite or none at all.
"""

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

MOST = 10**9  # of any number: no sensible value reaches it, and a slip of the finger ends in a line, not in hours
PositiveInt = Annotated[int, Field(gt=0, le=MOST)]
PositiveFloat = Annotated[float, Field(gt=0, le=MOST)]
NonNegativeFloat = Annotated[float, Field(ge=0, le=MOST)]
NAME = r"[a-z0-9][a-z0-9_.]*"
Name = Annotated[str, Field(pattern=f"^{NAME}$")]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def AtMost(limit: float) -> Any:
    """A lower bound than `MOST`, where less than that already takes for ever."""
    return Field(le=limit)


def _once(values: list[Any]) -> list[Any]:
    repeated = next((value for place, value in enumerate(values) if value in values[:place]), None)
    if repeated is not None:
        raise ValueError(f"{repeated!r} is there twice: keep one")
    return values


Once = AfterValidator(_once)  # of a list: no value twice
