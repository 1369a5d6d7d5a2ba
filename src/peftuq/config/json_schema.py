"""JSON schemas of the files below `config/`, for editors that complete and check keys.

`python -m peftuq.config.json_schema docs/schema` writes one per kind of file. A file may extend another, and if its
name begins with `_` it is only to be extended, so a missing key is no mistake there: the workflow says which one is
missing.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from peftuq.config.methods import Methods, declaration
from peftuq.config.recipe import Recipe, Sweep
from peftuq.config.schema import Config, Model, Prompt, Suite
from peftuq.config.study import PACKAGE
from peftuq.data.schema import Dataset
from peftuq.plugins import AdapterKind

DIALECT = "http://json-schema.org/draft-07/schema#"  # the newest that every editor reads
EXTENDABLE: dict[str, type[BaseModel]] = {
    "model": Model,
    "dataset": Dataset,
    "recipe": Recipe,
    "prompt": Prompt,
    "suite": Suite,
}


def schemas() -> dict[str, dict[str, Any]]:
    """JSON schema (draft 7) of each kind of file, by its name: config, model, dataset, recipe, prompt, suite."""
    extendable = {kind: _extendable(model.model_json_schema()) for kind, model in EXTENDABLE.items()}
    extendable["recipe"]["properties"]["sweep"] = Sweep.model_json_schema()
    adapter = extendable["recipe"]["$defs"]["Adapter"]
    adapter["properties"] |= _sections()
    adapter["additionalProperties"] = False
    return {
        kind: {"$schema": DIALECT, **schema}
        for kind, schema in {"config": Config.model_json_schema(), **extendable}.items()
    }


def _sections() -> dict[str, Any]:
    """The sections of kinds of adapter, below a recipe's `adapter`; no other key is allowed there."""
    files = Methods(PACKAGE, {}, "").kinds
    kinds = [declaration(file, AdapterKind) for file in files.values()]
    return {kind.section: {"type": "object", "properties": _properties(kind)} for kind in kinds if kind.section}


def _properties(kind: AdapterKind) -> dict[str, Any]:
    types = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", tuple: "array"}
    return {
        name: {"default": default, **({"type": types[type(default)]} if type(default) in types else {})}
        for name, default in kind.params.items()
    }


def _extendable(schema: dict[str, Any]) -> dict[str, Any]:
    """`schema` with the key `extends`, and without required keys at any depth: another file may give them."""
    extends = {"type": "string", "description": "Name of the file in this folder whose keys this one adds to."}
    optional = _without_required(schema)
    return {**optional, "properties": {"extends": extends, **optional["properties"]}}


def _without_required(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_without_required(part) for part in schema]
    if isinstance(schema, dict):
        return {key: _without_required(part) for key, part in schema.items() if not _lists_keys(key, part)}
    return schema


def _lists_keys(key: str, part: Any) -> bool:
    """Whether this is a schema's list of required keys, and not a property that is named so."""
    return key == "required" and isinstance(part, list)


def write(folder: Path) -> None:
    """Write `<kind>.json` for every kind of file into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for kind, schema in schemas().items():
        (folder / f"{kind}.json").write_text(json.dumps(schema, indent=2) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    write(parser.parse_args().folder)
