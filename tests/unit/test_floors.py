"""Imports among the library's packages: those of docs/design.md, downwards, without a ring."""

import ast
import graphlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "peftuq"
MODULES = {
    ".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__"): file
    for file in sorted(PACKAGE.rglob("*.py"))
}
PLANNED_WITH = ("config", "jobs", "planning")
HEAVY = {"torch", "transformers", "peft", "scipy", "sklearn", "pyarrow", "safetensors", "jax", "snakemake"}


class Row(NamedTuple):
    floor: int
    imports: set[str]


def documented() -> dict[str, Row]:
    found = {}
    for line in (ROOT / "docs" / "design.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 4 and cells[0].isdigit():
            found[cells[1].strip("`")] = Row(int(cells[0]), set(re.findall(r"`(\w+)`", cells[3])))
    return found


FLOORS = documented()


def package(module: str) -> str:
    return module.split(".")[1]


def imported(source: str) -> Iterator[str]:
    """Modules of the library that a module's source imports, anywhere in it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            members = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [member if member in MODULES else node.module for member in members]
        else:
            continue
        yield from (name for name in names if name in MODULES and name != "peftuq")


IMPORTS = {module: set(imported(file.read_text())) for module, file in MODULES.items() if module != "peftuq"}


def test_every_package_has_a_floor():
    assert FLOORS.keys() == set(map(package, IMPORTS))


@pytest.mark.parametrize("name", FLOORS)
def test_a_package_imports_what_is_documented_and_lies_below(name):
    ground = {other for other, row in FLOORS.items() if row.floor == 0}
    edges = {(module, other) for module, others in IMPORTS.items() if package(module) == name for other in others}
    outward = {(module, other) for module, other in edges if package(other) != name}
    allowed = FLOORS[name].imports | (ground if FLOORS[name].floor else set())
    assert sorted(edge for edge in outward if package(edge[1]) not in allowed) == []
    assert {other for other in FLOORS[name].imports if FLOORS[other].floor >= FLOORS[name].floor} == set()


@pytest.mark.parametrize("name", PLANNED_WITH)
def test_modules_of_a_package_form_no_ring(name):
    inward = {
        module: {other for other in others if package(other) == name}
        for module, others in IMPORTS.items()
        if package(module) == name
    }
    assert list(graphlib.TopologicalSorter(inward).static_order())


def test_planning_imports_no_heavy_library():
    """What imports Snakemake is left out: only its own commands import it."""
    apart = re.compile(r"peftuq\.(planning\.rehearsal|jobs\.(graph|status|why))(\.|$)")
    modules = [module for module in IMPORTS if package(module) in PLANNED_WITH and not apart.match(module)]
    code = f"import importlib, sys\nfor m in {modules}: importlib.import_module(m)\nprint(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONPATH": str(PACKAGE.parent)}
    )
    assert done.returncode == 0, done.stderr
    assert {module.partition(".")[0] for module in done.stdout.split()} & HEAVY == set()


def test_an_import_is_found_wherever_it_stands():
    source = "import peftuq.files as f\ndef g():\n    from peftuq.config import load, study\n"
    assert set(imported(source)) == {"peftuq.files", "peftuq.config.load", "peftuq.config.study"}
