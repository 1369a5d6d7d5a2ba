"""The report's page on a comparison with the exact posterior: its numbers, its verdicts, and its absence."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from peftuq.paths import Paths
from peftuq.reference_posterior import file
from peftuq.reference_posterior.agreement import agreement
from peftuq.report import reference_posterior
from peftuq.report.figures import style
from peftuq.report.parts import Picture
from peftuq.report.tables import UNDEFINED, Table

pytestmark = pytest.mark.slow
ASKED = {"model": "m", "dataset": "d", "recipe": "r", "seed": 0}
SPEC = {"inputs": 16, "hidden": 16, "rank": 4, "half_lambda": 1, "dropout": 0.1, "chains": 4, "warmup": 9, "draws": 9}
PARTS = {"test": 30, "s1": 10, "s2": 10, "s3": 10}
REPEATED = {"map", "ensemble_5", "anchored_5", "laplace", "mc_dropout", "sngp", "swag", "ivon", "hmc_5", "hmc_20"}


def predictions(rng: np.random.Generator, method: str, n: int) -> file.Predictions:
    repetitions = 4 if method in REPEATED else 1
    scale = {"map": 0.0, "mc_dropout": 0.1, "laplace": 0.6}.get(method, 0.3)
    return file.Predictions(
        rng.dirichlet(np.ones(2), size=(repetitions, n)), scale * rng.uniform(size=(repetitions, n))
    )


def facts(parts: dict[str, dict[str, file.Predictions]], rhat: float) -> dict:
    agreements = {
        part: {
            method: [
                {
                    **agreement(p, mi, m["hmc"].probs[0], m["hmc"].mi[0])._asdict(),
                    "mi": 0.1,
                    "accuracy": 0.7,
                    "nll": 0.5,
                }
                for p, mi in zip(*one, strict=True)
            ]
            for method, one in m.items()
        }
        for part, m in parts.items()
    }
    mixing = {"rhat": rhat, "ess": 900.0, "error": 0.01}
    sampler = {"parameters": mixing, "predictives": mixing, "divergences": 0, "leapfrogs": 120.0}
    return {"spec": SPEC, "parameters": 200, "examples": 150, "sampler": sampler, "agreement": agreements}


def run(folder, **suites):
    def file(path: str) -> Path | None:
        return Path(path) if Path(path).is_file() else None

    return SimpleNamespace(paths=Paths(str(folder)), file=file, models={"m": {"title": "Model"}}, suites=suites)


def made(folder, rhat: float = 1.005):
    """A run with a comparison of made-up numbers."""
    rng = np.random.default_rng(0)
    parts = {
        part: {method: predictions(rng, method, n) for method in reference_posterior.TITLES}
        for part, n in PARTS.items()
    }
    file.write(Paths(str(folder)).posterior_comparison("m", "d", "r", 0), parts, facts(parts, rhat))
    return run(
        folder,
        one={"gold": ASKED},
        two={"gold": ASKED},
        three={"gold": None},
        old={},
    )


def test_nothing_where_nothing_is_asked_for(tmp_path):
    assert reference_posterior.items(run(tmp_path, one={"gold": None}, old={})) == []


def test_a_missing_file_is_said_to_be_missing(tmp_path):
    (sentence,) = reference_posterior.items(run(tmp_path, one={"gold": ASKED}))
    assert "missing" in sentence and "Model on d" in sentence


def test_the_tables_hold_the_files_numbers(tmp_path):
    items = reference_posterior.items(made(tmp_path))
    test, shifts = (item for item in items if isinstance(item, Table))
    rows = {row.labels[0]: row.entries for row in test.rows}
    stated = file.PosteriorFile(Paths(str(tmp_path)).posterior_comparison("m", "d", "r", 0)).facts["agreement"]
    tv = [repetition["tv"] for repetition in stated["test"]["ensemble_5"]]
    assert rows["MAP ensemble, M = 5"][0].value == pytest.approx(np.mean(tv))
    assert rows["MAP ensemble, M = 5"][0].std == pytest.approx(np.std(tv, ddof=1))
    assert rows["MAP ensemble, M = 20"][0].std is None
    assert rows["One MAP member"][3].text == UNDEFINED and rows["One MAP member"][3].note
    assert rows["Exact (HMC)"][0].empty and rows["Exact (HMC)"][5].plain == "70.0"
    spearman = {row.labels[0]: row.entries for row in shifts.rows}["MAP ensemble, M = 20"][5]
    assert spearman.value == pytest.approx(stated["s2"]["ensemble_20"][0]["spearman"])
    assert [column.group for column in shifts.columns] == ["s1"] * 3 + ["s2"] * 3 + ["s3"] * 3


def test_the_words_follow_the_numbers(tmp_path):
    words = [item for item in reference_posterior.items(made(tmp_path)) if isinstance(item, str)]
    assert "The chains mixed." in words[1]
    less, more = words[2].split("less mutual information")
    assert "MC dropout" in less and "Laplace" in more and "One MAP member" not in less
    unmixed = [item for item in reference_posterior.items(made(tmp_path, rhat=1.2)) if isinstance(item, str)]
    assert "did NOT mix" in unmixed[1] and "1.200" in unmixed[1]


def test_the_figures_are_drawn(tmp_path):
    pictures = [item for item in reference_posterior.items(made(tmp_path)) if isinstance(item, Picture)]
    assert [picture.name for picture in pictures] == ["reference_posterior_mi", "reference_posterior_tv"]
    scatter, boxes = (picture.figure.axes for picture in pictures)
    assert [len(ax.lines[1].get_xdata()) for ax in scatter] == [30] * 6
    assert [ax.get_title(loc="left") for ax in boxes] == ["d", "s1", "s2", "s3"]
    assert boxes[0].get_yticklabels()[0].get_text() == "One MAP member"
    assert boxes[0].yaxis_inverted()
    style.save(pictures[1].figure, tmp_path, "tv")
    assert (tmp_path / "tv.png").stat().st_size > 0
