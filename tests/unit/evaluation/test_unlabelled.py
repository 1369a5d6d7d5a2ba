"""A shift set without labels: what needs none is measured as with labels, and nothing else is a row."""

import numpy as np
import pytest

from peftuq import artifacts
from peftuq.artifacts import Record, SampleFile
from peftuq.evaluation import compare, rows, training_dynamics
from peftuq.labels import UNLABELLED
from peftuq.scores import softmax

SIZES = {f"{kind}_set_size" for kind in ("lac", "aps", "aps_inclusive", "raps")}
WITHOUT_LABELS = {*SIZES, "risk_control_answered", "examples"}


def record(seed: int, label: np.ndarray) -> Record:
    logits = np.random.default_rng(seed).normal(size=(len(label), 3)).astype(np.float32)
    return Record(np.arange(len(label)), label, logits, np.zeros((len(label), 2), np.float32))


@pytest.fixture
def files(tmp_path):
    """The samples and scores of the same answers, the shift set with its labels and without."""

    def written(name: str, label: np.ndarray) -> tuple[SampleFile, artifacts.Scores]:
        known = np.arange(30) % 3
        parts = {"valid": record(0, known), "test": record(1, known), "web": record(2, label)}
        artifacts.write_records(tmp_path / f"{name}.safetensors", parts, artifacts.Head(np.eye(3, 2)))
        samples = SampleFile(tmp_path / f"{name}.safetensors")
        scores, _ = softmax.score(samples, ["test", "web"], {}, 0)
        columns = {"eval": ["test"] * 30 + ["web"] * 30, "id": np.arange(60), "error": []}
        for part in ("test", "web"):
            columns["error"] += samples[part].errors
        columns |= {variant: np.concatenate([of["test"], of["web"]]) for variant, of in scores.items()}
        artifacts.write_scores(tmp_path / f"{name}.parquet", columns, {})
        return samples, artifacts.read_scores(tmp_path / f"{name}.parquet")

    return written("with", np.arange(30) % 3), written("without", np.full(30, UNLABELLED))


def table(found: list[rows.Row]) -> dict[tuple, float | None]:
    return {(row["eval"], row["method"], row["metric"]): row["value"] for row in found}


def test_predictions(files):
    labelled, unlabelled = (table(rows.prediction_rows(samples, ["test", "web"])) for samples, _ in files)
    kept = {key for key in labelled if key[0] == "test" or key[2] in WITHOUT_LABELS}
    assert unlabelled == {key: labelled[key] for key in kept}
    assert None not in [value for key, value in unlabelled.items() if key[0] == "web"]


def test_scores_tell_the_set_apart_and_judge_no_errors_there(files):
    labelled, unlabelled = (table(rows.score_rows(scores, ["test", "web"], ["sr"])) for _, scores in files)
    kept = {key for key in labelled if key[0] == "test" or key[2].startswith("ood_")}
    assert unlabelled == {key: labelled[key] for key in kept}
    assert {key[1] for key in kept if key[0] == "web"} == {"sr", "entropy", "margin"}


def test_comparisons_leave_the_set_out(files):
    labelled, unlabelled = (compare.pairwise([("point", 0, s)], ["test", "web"], 10) for _, s in files)
    assert list(unlabelled) == ["test"] and unlabelled["test"] == labelled["test"]


def test_an_ensemble_is_followed_by_its_uncertainty(files):
    labelled, unlabelled = (training_dynamics.curve_point(samples["web"]) for samples, _ in files)
    assert unlabelled == {key: labelled[key] for key in ("entropy", "mutual_information")}
