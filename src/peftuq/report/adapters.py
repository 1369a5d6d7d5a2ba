"""Kinds of adapters, as a run's recipes have them."""

from collections.abc import Mapping
from typing import Any

PLAIN, UNTUNED = "lora", "untuned"


def kind(recipe: Mapping[str, Any]) -> str:
    """The key of the adapter's own section; `PLAIN` without one, `UNTUNED` without an adapter."""
    adapter = recipe["adapter"]
    if adapter is None:
        return UNTUNED
    return next((key for key, value in adapter.items() if isinstance(value, Mapping)), PLAIN)
