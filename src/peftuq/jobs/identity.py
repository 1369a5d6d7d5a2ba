"""A job's identity: exactly the configuration it uses, and the meaning of the code it runs.

`spec` is canonical JSON: sorted keys, no spaces, numbers normalised (4.0 and 4 are one). `code` digests the abstract
syntax of a script and of every `peftuq` module that it imports, directly or not, without docstrings, comments and what
only type checkers import.
Snakemake stores both as job parameters and reruns a job when one differs.
"""

import ast
import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

PACKAGE = Path(__file__).resolve().parents[1]
_IMPORTS = (ast.Import, ast.ImportFrom)
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def spec(**config: Any) -> str:
    """Canonical JSON of what a job uses."""
    return json.dumps(_normalised(config), sort_keys=True, separators=(",", ":"), allow_nan=False)


def _normalised(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {str(key): _normalised(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_normalised(item) for item in value]
    return value


@cache
def code(script: Path, *plugins: Path) -> str:
    """Digest (16 hex digits) of the code a job runs: its script, plug-in files, and their imports."""
    digest = hashlib.sha256()
    for module, source in sorted(closure(script, *plugins).items()):
        digest.update(f"{module}\n{source.dumped}\n".encode())
    return digest.hexdigest()[:16]


def definitions(script: Path, *plugins: Path) -> dict[str, dict[str, str]]:
    """Module → the digest (8 hex digits) of each of its functions, classes, constants and other statements."""
    return {module: _digests(source.tree) for module, source in sorted(closure(script, *plugins).items())}


def _digests(tree: ast.Module) -> dict[str, str]:
    found: dict[str, str] = {}
    for node in tree.body:
        name = _definition(node)
        found[name] = hashlib.sha256(f"{found.get(name, '')}{ast.dump(node)}".encode()).hexdigest()[:8]
    return found


def _definition(node: ast.stmt) -> str:
    """Kind and name of a top-level statement's definition."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return f"function {node.name}"
    if isinstance(node, ast.ClassDef):
        return f"class {node.name}"
    if isinstance(node, ast.Import | ast.ImportFrom):
        return "its imports"
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    names = [target.id for target in targets if isinstance(target, ast.Name)]
    return f"constant {', '.join(names)}" if names else "statements outside any function"


class Source(NamedTuple):
    """A file's syntax without docstrings, as a tree and as text, and the files of the `peftuq` modules it imports."""

    tree: ast.Module
    dumped: str
    imported: list[Path]


def closure(script: Path, *plugins: Path) -> dict[str, Source]:
    """Module name → what it says, for a script and all `peftuq` modules it imports transitively."""
    found: dict[str, Source] = {}
    waiting = [script, *plugins]
    while waiting:
        file = waiting.pop()
        name = module(file)
        if name not in found:
            found[name] = _parse(file)
            waiting += found[name].imported
    return found


def module(file: Path) -> str:
    """The name by which a file of the library is imported; of another file its own name."""
    if PACKAGE in file.parents:
        return ".".join(("peftuq", *file.relative_to(PACKAGE).with_suffix("").parts))
    return file.name


@cache
def _parse(file: Path) -> Source:
    tree = ast.parse(file.read_text())
    tree.body = [node for node in tree.body if not _for_type_checkers(node)]
    nodes = list(ast.walk(tree))  # once: every job of a cluster starts with this
    imported = [path for node in nodes if isinstance(node, _IMPORTS) for path in _imports(node)]
    for node in nodes:
        if isinstance(node, _DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
    return Source(tree, ast.dump(tree), imported)


def _for_type_checkers(node: ast.stmt) -> bool:
    """Whether a statement is `if TYPE_CHECKING: …`, which no job executes."""
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def _imports(node: ast.AST) -> list[Path]:
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom) and node.module:
        names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    else:
        return []
    return [file for name in names for file in _files(name)]


def _files(module: str) -> list[Path]:
    """The files that importing a `peftuq` module runs: its own and its packages' `__init__`s."""
    parts = module.split(".")
    if parts[0] != "peftuq":
        return []
    folders = [PACKAGE.joinpath(*parts[1:depth]) / "__init__.py" for depth in range(1, len(parts) + 1)]
    return [file for file in (*folders, PACKAGE.joinpath(*parts[1:-1], f"{parts[-1]}.py")) if file.is_file()]
