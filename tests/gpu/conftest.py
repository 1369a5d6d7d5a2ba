"""The device of these tests, and what they measure on it; without `--device cuda` a processor stands in."""

import platform
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import pytest
import torch
from hardware import Cuda, Processor
from measurements import Measurements

from peftuq.models.kernels import use_job_kernels

TABLE = Path(__file__).parents[2] / "results" / "gpu.md"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--table", type=Path, default=TABLE, help="where tests/gpu writes its measurements")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("device") == "cuda" and not torch.cuda.is_available():
        pytest.exit(f"no CUDA device: PyTorch {torch.__version__} sees none on {platform.node()}", returncode=1)


@pytest.fixture(scope="session")
def hardware(pytestconfig) -> Processor:
    use_job_kernels()  # as jobs do
    return Cuda() if pytestconfig.getoption("device") == "cuda" else Processor()


@pytest.fixture(scope="session")
def measured(pytestconfig, hardware) -> Iterator[Measurements]:
    """Written when the last test has run, failed ones or not."""
    found = Measurements()
    yield found
    versions = {"PyTorch": torch.__version__, "CUDA": torch.version.cuda or "none"}
    found.write(pytestconfig.getoption("table"), hardware, versions)
