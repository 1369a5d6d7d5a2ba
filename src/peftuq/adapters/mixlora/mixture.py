"""The section `mixture` of a recipe's adapter."""

from typing import Literal

from pydantic import PositiveInt

from peftuq.config.recipe import Adapter
from peftuq.strict import Strict

SECTION = "mixture"


class Mixture(Strict):
    """`experts` E and `top_k` K of every router; `experts_at`: the layers with experts, others have one LoRA."""

    experts: PositiveInt
    top_k: PositiveInt
    experts_at: list[Literal["attention", "ffn"]]

    @classmethod
    def of(cls, adapter: Adapter) -> "Mixture":
        return cls.model_validate(adapter.sections[SECTION])
