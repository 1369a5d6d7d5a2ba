"""The runs that the tests of this folder look at: one a precision, and bf16's adapters asked in float32."""

from collections.abc import Iterator

import pytest
import torch
from furniture import furnish
from grid import PRECISIONS, Model
from programs import Run

EVERYDAY = ("bert", "llama")  # `make test` runs these architectures, `make test-all` every one


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        model = item.callspec.params.get("model") if hasattr(item, "callspec") else None
        if isinstance(model, Model) and model.architecture not in EVERYDAY:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def device(pytestconfig) -> Iterator[str]:
    """Where models run: `--device`. Programs take a GPU wherever there is one, so it is hidden from them for "cpu"."""
    asked = pytestconfig.getoption("device")
    if asked == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device here")
    with pytest.MonkeyPatch.context() as patch:
        if asked == "cpu":
            patch.setattr(torch.cuda, "is_available", lambda: False)
        yield asked


@pytest.fixture(scope="session")
def runs(device, tmp_path_factory) -> dict[str, Run]:
    """By precision; in "bf16 read in fp32" float32 models are given the adapters that were trained in bf16."""
    folder = tmp_path_factory.mktemp("precision")
    furnish(folder)
    found = {precision: Run(folder, precision) for precision in PRECISIONS}
    return found | {"bf16 read in fp32": Run(folder, "fp32", found["bf16"])}
