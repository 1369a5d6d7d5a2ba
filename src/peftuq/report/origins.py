"""The sources of models and datasets, as a reader can check it: no machine's paths, no hosts."""

from collections.abc import Mapping
from typing import Any

_SHORT = 12  # hex digits that tell one hash from another


def described(provenance: Mapping[str, Any]) -> str:
    """A `provenance.json` in words; "missing" for an empty one."""
    kind = provenance.get("kind")
    if kind == "hub":
        return f"hub {provenance['repo']}, commit {provenance['commit'][:_SHORT]}"
    if kind == "registry":
        packages = provenance["packages"].items()
        return "; ".join(f"package {name} {p['version']}, sha256 {p['sha256'][:_SHORT]}" for name, p in packages)
    return "a local folder" if kind == "local" else "missing"


def weights(provenance: Mapping[str, Any]) -> str:
    """The hash of the weights as they were fetched, and whether they had been quantised."""
    quantised = provenance.get("dequantised", "")
    sha256 = provenance.get("files", {}).get(quantised or "model.safetensors", "")
    parts = [f"weights are dequantised from {quantised}"] if quantised else []
    parts += [f"weights sha256 {sha256[:_SHORT]}"] if sha256 else []
    return ", ".join(parts)
