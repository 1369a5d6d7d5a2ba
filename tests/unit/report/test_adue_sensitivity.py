"""The table of AdUE's hyper-parameters: the best fit with each value, of runs with a wider grid alone."""

import itertools
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from peftuq.config import strict_yaml
from peftuq.config.study import Study
from peftuq.evaluation import gather
from peftuq.jobs.jobs import Jobs
from peftuq.report.adue import sensitivity
from peftuq.report.run import Run

ROOT = Path(__file__).parents[3]


@pytest.fixture
def run(monkeypatch) -> Run:
    """A run of the configuration itself; a fit's AUROC falls with |α - 0.2| and with β, and rises with the seed."""
    config = strict_yaml.read(ROOT / "config/adue_sensitivity.yaml")
    cells = json.loads(json.dumps(Jobs(Study(config, ROOT / "config")).list_cells.cells))
    found = Run(cells, {name: [] for name in gather.COLUMNS}, "nowhere")
    params = found.methods["adue"]["params"]

    def scores(setting, seed, score):
        fits = [
            {"start": "trained", "lr": lr, "epochs": epochs, "alpha": a, "beta": b, "lambda": 100.0,
             "valid_auroc": 0.8 - abs(a - 0.2) / 10 - b / 10 + seed / 100 - lr}
            for a, b, lr, epochs in itertools.product(params["alpha"], params["beta"], (0.001, 0.0001), (5, 10))
        ]  # fmt: skip
        fits += [{**fits[0], "epochs": 0, "valid_auroc": 0.99}, {**fits[0], "start": "rand_cls", "valid_auroc": 0.99}]
        fits.append({**fits[0], "lambda": 10.0, "valid_auroc": 0.5})
        return SimpleNamespace(diagnostics={"fits": fits})

    monkeypatch.setattr(found, "scores", scores)
    return found


def test_each_value_has_its_best_fit(run):
    table = sensitivity.sensitivity(run, run.settings("adue"))
    rows = {row.labels: row.entries for row in table.rows}
    assert len(rows) == 8 + 8 + 2 and len(table.columns) == 4
    assert [entry.value for entry in rows["α", "0.5"]] == pytest.approx(
        [100 * (0.8 - 0.03 - 0.0001 - 0.0001 + 0.02)] * 4
    )
    assert all(entry.best for entry in rows["α", "0.2"]) and all(entry.best for entry in rows["β", "0.001"])
    assert rows["λ", "10"][0].value == pytest.approx(50) and rows["λ", "10"][0].std == pytest.approx(0)
    assert rows["λ", "100"][0].best


def test_the_papers_grid_has_no_table(run):
    run.methods["adue"]["params"] |= {"alpha": [0.0, 0.1, 0.3, 1.0], "beta": [0.01, 0.1, 0.5, 1.0]}
    assert sensitivity.sensitivity(run, run.settings("adue")) is None
