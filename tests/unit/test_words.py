"""Docstrings begin with their subject or an imperative, so that a reader knows what is described before its details."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DESCRIBED = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def subjectless(source: str) -> list[str]:
    """Docstrings of a module's source that begin with "Of" or "What", first lines only."""
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, DESCRIBED)]
    first = [(ast.get_docstring(node) or "").partition("\n")[0] for node in nodes]
    return [line for line in first if re.match(r"(Of|What)\b", line)]


@pytest.mark.parametrize("folder", ["src", "workflow", "benchmarks"])
def test_docstrings_begin_with_their_subject(folder):
    files = sorted((ROOT / folder).rglob("*.py"))
    assert files
    assert not {str(file.relative_to(ROOT)): found for file in files if (found := subjectless(file.read_text()))}


def test_a_docstring_without_a_subject_is_found():
    source = '"""Whatever."""\nclass A:\n    """\n    Of b."""\n    async def b(self):\n        r"""What it is."""\n'
    assert subjectless(source) == ["Of b.", "What it is."]
