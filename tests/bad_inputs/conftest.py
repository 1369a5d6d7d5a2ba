"""One checkout for all cases, put back after each, and the count of cases by class at the end."""

import sys
from collections import Counter
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from places import FILES, Checkout

COUNTS: Counter[str] = Counter()


@pytest.fixture(scope="session")
def _checkout(tmp_path_factory):
    return Checkout(tmp_path_factory.mktemp("bad"))


@pytest.fixture
def checkout(_checkout, monkeypatch):
    monkeypatch.chdir(_checkout.folder)
    before = {path: path.read_bytes() for path in _checkout.folder.rglob("*") if path.is_file()}
    yield _checkout
    for path in _checkout.folder.rglob("*"):
        if path.is_file() and path not in before:
            path.unlink()
    for path, content in before.items():
        if path.is_dir():
            path.rmdir()
        if not path.is_file() or path.read_bytes() != content:
            path.write_bytes(content)
    for name, content in FILES.items():
        _checkout.write(name, content)


@pytest.fixture
def count():
    def add(kind: str) -> None:
        COUNTS[kind] += 1

    return add


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for kind, number in sorted(COUNTS.items()):
        terminalreporter.write_line(f"bad inputs, {kind}: {number}")
    if COUNTS:
        terminalreporter.write_line(f"bad inputs in all: {COUNTS.total()}")
