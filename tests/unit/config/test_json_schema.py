"""The JSON schemas of `config/` are current, and say of files what the workflow says of them."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from peftuq.config.json_schema import schemas, write

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "docs" / "schema"
KINDS = ["config", "dataset", "model", "prompt", "recipe", "suite"]
FILES = {  # the files that .vscode/settings.json gives each schema to
    kind: sorted((ROOT / "config").glob("*.yaml" if kind == "config" else f"{kind}s/*.yaml")) for kind in KINDS
}


def mistakes(kind: str, content: dict[str, Any]) -> list[str]:
    """Mistakes that an independent validator finds in `content`, by the committed schema."""
    validator = jsonschema.Draft7Validator(json.loads((FOLDER / f"{kind}.json").read_text()))
    return [error.message for error in validator.iter_errors(content)]


def test_the_committed_schemas_are_those_of_the_models(tmp_path):
    write(tmp_path)
    stale = [
        kind for kind in schemas() if (FOLDER / f"{kind}.json").read_bytes() != (tmp_path / f"{kind}.json").read_bytes()
    ]
    assert not stale, "docs/schema is not current: run `make schema`"
    assert {file.stem for file in FOLDER.glob("*.json")} == set(schemas()) == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_schema_is_valid_and_every_file_follows_it(kind):
    jsonschema.Draft7Validator.check_schema(schemas()[kind])
    assert FILES[kind]
    assert {
        file.name: found for file in FILES[kind] if (found := mistakes(kind, yaml.safe_load(file.read_text())))
    } == {}


def test_editors_find_the_schema_of_every_file():
    named = json.loads((ROOT / ".vscode" / "settings.json").read_text())["yaml.schemas"]
    assert {schema: sorted(ROOT.glob(pattern)) for schema, pattern in named.items()} == {
        f"docs/schema/{kind}.json": files for kind, files in FILES.items()
    }


@pytest.mark.parametrize("kind, content, expected", [
    ("config", {"suites": ["demo"], "sources": ["hub"], "bootstraps": 20}, "bootstraps"),
    ("config", {"suites": ["demo"], "sources": ["web"]}, "web"),
    ("config", {"suites": ["demo"]}, "sources"),
    ("recipe", {"extends": "lora", "optimiser": {"rate": 0.1}}, "rate"),
    ("recipe", {"extends": "lora", "adapter": {"dropout": 1}}, "1"),
    ("recipe", {"extends": "lora", "sweep": {"key": "prior.half_lambda", "values": []}}, "[]"),
    ("model", {"version": 1, "modules": {"x": "x_proj"}}, "x"),
    ("dataset", {"version": 0}, "0"),
    ("suite", {"grids": [{"seeds": 3, "shift": {}}]}, "shift"),
    ("prompt", {"labels": ["A"]}, "A"),
])  # fmt: skip
def test_a_mistake_is_told(kind, content, expected):
    (message,) = mistakes(kind, content)
    assert expected in message


def test_a_file_that_extends_another_may_leave_out_any_key():
    assert mistakes("recipe", {"extends": "lora", "optimiser": {"epochs": 3}}) == []
    assert mistakes("config", {"suites": ["demo"], "sources": ["hub"], "limit": {"train": 3}}) == []
