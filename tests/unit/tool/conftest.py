"""One fitted adapter for all tests of the tool."""

import sys
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pytest

sys.path.insert(0, str(Path(__file__).parent))
import own

import peftuq
from peftuq.config.methods import Methods
from peftuq.config.study import PACKAGE
from peftuq.progress import Log
from peftuq.specs.task import Task
from peftuq.tool import adapter as adapters
from peftuq.tool import candidates, choice
from peftuq.tool.columns import stacked


class Own(NamedTuple):
    """A user's files, and the bundle and the comparison that were fitted to them."""

    model: Path
    adapter: Path
    data: pd.DataFrame
    new: pd.DataFrame
    uq: Path
    compared: pd.DataFrame


def labelled(model: Path, adapter: Path, n: int, seed: int) -> pd.DataFrame:
    task = Task(kind="classification", classes=own.CLASSES, max_length=40, prompt=None, precision="fp32",
                batch_tokens=4096)  # fmt: skip
    adapted: Any = adapters.load(model, adapter, task, Log(None, "test"))
    texts = own.texts(n, seed)
    record = adapted.run(adapted.encode(stacked([{"text": text} for text in texts])))
    names = [own.CLASSES[label] for label in own.noisy(record.logits, seed)]
    return pd.DataFrame({"text": texts, "label": names})


SMALL = {"adue": {"lr": [1e-3], "epochs": [2], "alpha": [0.1], "beta": [0.1]}, "sngp": {"features": 16, "draws": 100}}
SMALL |= {"vbll": {"draws": 100}, "linear_probe": {"strengths": 2}, "mlp_probe": {"hidden": [4], "epochs": 2}}
SMALL |= {"laplace": {"draws": 100, "grid": (-1.0, 1.0, 2)}, "tfb": {"steps": 1, "anchors": 10}}
SMALL |= {"matrix_scaling": {"strengths": [0.1]}}


@pytest.fixture(scope="session", autouse=True)
def _small_searches():
    """Every method, in sizes that take no time."""
    with pytest.MonkeyPatch.context() as patch:
        small = Methods(PACKAGE, SMALL, "test")
        patch.setattr(candidates, "methods", lambda: small)
        patch.setattr(choice, "RESAMPLES", 50)
        yield


@pytest.fixture(scope="session")
def mine(_small_searches, tmp_path_factory) -> Own:
    folder = tmp_path_factory.mktemp("own")
    model, adapter = own.save(folder)
    data, new = labelled(model, adapter, 300, 1), labelled(model, adapter, 200, 2)
    compared = peftuq.fit(model, adapter, data, folder / "uq", classes=own.CLASSES, precision="fp32")
    return Own(model, adapter, data, new, folder / "uq", compared)
