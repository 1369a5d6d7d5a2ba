"""Specs of jobs that fetch files."""

from typing import Any, Literal

from peftuq.strict import Strict


class FetchData(Strict):
    """`source`: the description of a source of this kind, as `data.source_schema` has it."""

    kind: Literal["hub", "registry", "local"]
    source: dict[str, Any]


class FetchModel(FetchData):
    """`gguf`: the one of its files that is dequantised."""

    name: str
    gguf: str | None
