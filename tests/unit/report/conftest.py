"""A fabricated results folder, written once: the tests only read it, or copy it before they take something away."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import fabricate


@pytest.fixture(scope="session")
def fabricated(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """cells, metrics and results of a made-up run: see `fabricate.MIXED`."""
    return fabricate.results(tmp_path_factory.mktemp("run") / "results", n=40)
