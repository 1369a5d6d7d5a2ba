"""Where tests find each other's helpers, and the optional folder of shared development data."""

import os
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "src"))
_UNIT = ("adapters", "models", "planning", "precision", "predictives", "predictives/laplace", "training")
for _helpers in (*(f"unit/{folder}" for folder in _UNIT), "rehearsal", "workflow", "slurm"):
    sys.path.insert(0, str(ROOT / "tests" / _helpers))
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # as `jobs.environment` has it; before CUDA starts
if "PYTEST_XDIST_WORKER" in os.environ:  # one worker per core: threads beyond that get in each other's way
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# The same examples every time, and no failure because a machine is busy.
settings.register_profile("ci", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("ci")


def pytest_addoption(parser: pytest.Parser) -> None:
    help = "where the tests of tests/unit/precision and tests/gpu run models; GPUs are hidden from all others"
    parser.addoption("--device", choices=["cpu", "cuda"], default="cpu", help=help)


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("device") == "cpu":  # the same tests everywhere, in the processes that they start as well
        os.environ["CUDA_VISIBLE_DEVICES"] = ""


@pytest.fixture(scope="session")
def shared() -> Path:
    """Local copies of the papers' datasets, for development; tests that need them skip without."""
    folder = Path(os.environ.get("PEFTUQ_SHARED", ROOT.parent / "shared"))
    if not (folder / "data").is_dir():
        pytest.skip("no shared development data (set PEFTUQ_SHARED)")
    return folder
