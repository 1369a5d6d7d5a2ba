"""Labels of examples: their classes' places, or UNLABELLED throughout a set that is only told apart from others."""

from typing import Any

UNLABELLED = -1


def are_known(labels: Any) -> bool:
    """True where a set's `labels`, an integer array (N,), are labels."""
    return not bool((labels == UNLABELLED).any())
