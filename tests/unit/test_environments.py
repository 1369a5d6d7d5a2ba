"""Agreement of pyproject's dependencies, the lock's pins, the jobs' environments and the code's imports."""

import ast
import re
import sys
import tomllib
from collections.abc import Collection
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from peftuq.jobs import identity

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "peftuq"
ENVIRONMENTS = sorted((ROOT / "envs").glob("*.yaml"))
RULES = sorted((ROOT / "workflow" / "rules").glob("*.smk"))
EXTRAS = {  # parts of the library that need an extra; all others get along with the dependencies
    "report": ("report/",),
    "reference": ("reference_posterior/",),
    "tool": ("tool/",),
    "workflow": ("jobs/graph.py", "jobs/status.py", "jobs/why.py"),
}


def pinned(lines: list[str]) -> dict[str, str]:
    """Canonical name → version."""
    pins = (line.strip().split("==") for line in lines if "==" in line)
    return {canonicalize_name(name): version for name, version in pins}


def declared() -> dict[str, list[Requirement]]:
    """The requirements of pyproject: the dependencies under "", and those of every extra."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    groups = {"": project["dependencies"], **project["optional-dependencies"]}
    return {name: [Requirement(line) for line in lines] for name, lines in groups.items()}


def names(group: str) -> set[str]:
    return {canonicalize_name(requirement.name) for requirement in DECLARED[group]}


def lock(name: str) -> dict[str, str]:
    return pinned((ROOT / name).read_text().splitlines())


LOCK, PEERS, EXECUTORS = map(lock, ("requirements.lock", "requirements-peers.lock", "requirements-executors.lock"))
DECLARED = declared()
OWN = {folder.name for folder in (ROOT / "src").iterdir()}
DISTRIBUTIONS = packages_distributions()


def all_names() -> set[str]:
    return set().union(*map(names, DECLARED))


def third_party(tree: ast.AST, own: Collection[str] = ()) -> set[str]:
    """The distributions whose modules the code imports; names of `own` are modules of this repository."""
    nodes = list(ast.walk(tree))
    modules = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    modules |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
    tops = {module.partition(".")[0] for module in modules} - set(sys.stdlib_module_names) - {*OWN, *own}
    return {canonicalize_name(DISTRIBUTIONS.get(top, [top])[0]) for top in tops}


def environment(file: Path) -> dict[str, str]:
    """The pins of a job's environment."""
    (pip,) = (entry["pip"] for entry in yaml.safe_load(file.read_text())["dependencies"] if isinstance(entry, dict))
    return pinned(pip)


# -- pyproject ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("group", DECLARED)
def test_the_lock_pins_what_is_declared(group):
    for requirement in DECLARED[group]:
        name = canonicalize_name(requirement.name)
        if name != "peftuq":
            assert name in LOCK and requirement.specifier.contains(LOCK[name]), str(requirement)


def test_the_library_imports_what_is_declared():
    undeclared = {}
    for file in PACKAGE.rglob("*.py"):
        name = str(file.relative_to(PACKAGE))
        extras = [extra for extra, parts in EXTRAS.items() if name.startswith(parts)]
        allowed = names("").union(*map(names, extras))
        undeclared[name] = third_party(ast.parse(file.read_text())) - allowed
    assert not {file: missing for file, missing in undeclared.items() if missing}


def test_the_tests_import_what_is_declared():
    helpers = {file.stem for file in (ROOT / "tests").rglob("*.py")}
    for file in (ROOT / "tests").rglob("*.py"):
        assert third_party(ast.parse(file.read_text()), helpers) <= all_names() | EXECUTORS.keys() | PEERS.keys(), file


# -- the environments of the jobs ---------------------------------------------------------------------


@pytest.mark.parametrize("file", ENVIRONMENTS, ids=lambda file: file.stem)
def test_every_pin_is_the_locks_and_declared(file):
    found = environment(file)
    assert found and found.items() <= LOCK.items()
    assert found.keys() <= all_names()


def scripts() -> list[tuple[str, Path]]:
    """Each script of the workflow with the environment that its rule names."""
    found = []
    for rules in RULES:
        for rule in re.split(r"^(?=(?:use )?rule )", rules.read_text(), flags=re.M):
            script, named = re.search(r"/(\w+\.py)\b", rule), re.search(r'environment\("(\w+)"\)', rule)
            if script and named:
                found.append((script[1], ROOT / "envs" / f"{named[1]}.yaml"))
    return found


def test_every_rule_with_an_environment_names_one_that_exists():
    assert {file for _, file in scripts()} == set(ENVIRONMENTS)


@pytest.mark.parametrize(("script", "file"), scripts(), ids=lambda value: getattr(value, "stem", value))
def test_a_jobs_environment_holds_what_its_script_imports(script, file):
    sources = identity.closure(ROOT / "workflow" / "scripts" / script).values()
    needed = set().union(*(third_party(source.tree) for source in sources))
    assert needed <= environment(file).keys()
