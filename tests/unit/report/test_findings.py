"""Sentences and verdicts: each follows from the numbers, and changes with them."""

from pathlib import Path

import fabricate
import pytest

from peftuq import files
from peftuq.report.adue.claims import claims
from peftuq.report.adue.findings import findings
from peftuq.report.run import Run

KEYS = ("suites", "cells", "models", "datasets", "recipes", "methods", "limit", "limits")
VARIANTS = ["rmd", "rmd_l2", "md", "md_l2", "rde", "rde_l2", "sr", "adue"]


def run_of(adue: dict[str, float], folder: str = "nowhere", **extra) -> Run:
    """One seed of RoBERTa-base on some of the paper's datasets: SR has 0.8 everywhere, distances 0.6, AdUE as given."""
    rows = []
    for dataset, value in adue.items():
        for variant in VARIANTS:
            auroc = value if variant == "adue" else 0.8 if variant == "sr" else 0.6
            rows.append(("roberta", dataset, "point", variant, 0, "auroc", auroc))
        rows.append(("roberta", dataset, "point", "prediction", 0, "ece_15", 0.10))
        rows.append(("roberta", dataset, "temperature", "prediction", 0, "ece_15", extra.get("ece", 0.05)))
        rows.append(("roberta", dataset, "point", "sr", 0, "error_ece_15", 0.10))
        rows.append(("roberta", dataset, "point", "adue", 0, "error_ece_15", extra.get("error_ece", 0.12)))
    cells = fabricate.cells_of({"adue": [("roberta", dataset, []) for dataset in adue]}, 1)
    return Run(cells, fabricate.long_table(rows), folder)


def sentences(run: Run) -> str:
    settings = run.settings("adue")
    verdicts = [f"{one.answer}: {one.measured}." for one in claims(run, settings)]
    return " ".join([*findings(run, settings), *verdicts])


def test_calibration_is_compared_with_its_interval():
    better = sentences(run_of({"cola": 0.85, "sst2": 0.85, "sst5": 0.85}, ece=0.05, error_ece=0.02))
    assert (
        "Temperature scaling changes the predictions’ ECE-15 by −5.0 points [−5.0, −5.0] over 3 settings: lower on "
        "average; by setting, lower in 0, higher in 0, not distinguishable in 3."  # of one seed there is no interval
    ) in better
    assert "holds: ECE-15 −8.0 points [−8.0, −8.0] over 3 settings: lower on average;" in better
    worse = sentences(run_of({"cola": 0.85}, ece=0.2, error_ece=0.2))
    assert "ECE-15 by +10.0 points (1 seed: no interval) in one setting: not distinguishable." in worse
    assert "cannot be said: ECE-15 +10.0 points (1 seed: no interval)" in worse


def test_the_distance_to_the_paper_is_measured():
    """The paper has AdUE 75.4, SR 75.1, RMD 64.2, 65.3, MD 52.8, 73.7, RDE 50.6, 73.4 on CoLA."""
    gaps = [60 - 64.2, 60 - 65.3, 60 - 52.8, 60 - 73.7, 60 - 50.6, 60 - 73.4, 80 - 75.1, 85 - 75.4]
    mean = sum(map(abs, gaps)) / 8
    found = sentences(run_of({"cola": 0.85}))
    assert (
        f"by {mean:.1f} points on average over 8 numbers, in 6 by more than both standard deviations over seeds "
        "together; at most by −13.7 ± 0.6 (MD (L2), RoBERTa-base on cola)" in found
    )


def test_a_run_elsewhere_says_so():
    elsewhere = Run(fabricate.cells_of({"demo": [("minilm", "snippets2", [])]}, 1), fabricate.long_table([]), "nowhere")
    assert "No setting of this run is one of the paper’s own" in sentences(elsewhere)


def test_gaps_are_confessed():
    run = run_of({"cola": 0.85})
    assert "1 setting; every error-AUROC that was asked for is there" in sentences(run)
    run._metrics["value"][0] = None
    for column in run._metrics.values():
        del column[1]
    del run.__dict__["_values"]
    assert "1 error-AUROCs (one a seed) are missing and 1 undefined" in sentences(run)


def compared_run(folder: Path, intervals: list[tuple[float, float, float]], other: str = "point/sr") -> Run:
    """AdUE minus another score, an interval a dataset."""
    run = run_of(dict(zip(("cola", "sst2", "sst5"), (0.85, 0.75, 0.9), strict=False)), str(folder))
    for setting, (low, estimate, high) in zip(run.settings("adue"), intervals, strict=False):
        difference = {"method": "point/adue", "other": other, "seeds": [0]}
        difference |= {"estimate": estimate, "low": low, "high": high}
        auroc = {"point/adue": {"0": 0.8}, other: {"0": 0.8 - estimate}}
        files.write_json(run.paths.comparison(*setting), {"test": {"auroc": auroc, "differences": [difference]}})
    return run


ABOVE, BELOW, ROUND_ZERO = (0.01, 0.05, 0.09), (-0.09, -0.05, -0.01), (-0.13, 0.012, 0.10)


def test_intervals_are_counted_by_the_side_of_zero(tmp_path):
    found = sentences(compared_run(tmp_path, [ABOVE, BELOW, ROUND_ZERO]))
    assert (
        "Against the best baseline of each of 3 settings (of all scores but AdUE’s own) AdUE’s error-AUROC differs by "
        "−5.0 to +5.0 points (median +1.2); the paired 95 % interval lies above zero in 1, below zero in 1, and holds "
        "zero, not distinguishable, in 1."
    ) in found
    assert (
        "does not hold: against the best other of each of 3 settings, error-AUROC above in 1, below in 1, not "
        "distinguishable in 1."
    ) in found


@pytest.mark.parametrize(
    ("interval", "answer", "points"),
    [
        (ABOVE, "holds", "+5.0 points [+1.0, +9.0]"),
        (BELOW, "does not hold", "−5.0 points [−9.0, −1.0]"),
        (ROUND_ZERO, "cannot be said", "+1.2 points [−13.0, +10.0]"),
    ],
)
def test_a_claim_is_judged_by_the_interval(interval, answer: str, points: str, tmp_path: Path):
    found = sentences(compared_run(tmp_path, [interval] * 3))
    assert f"{answer}: against the best other of each of 3 settings, error-AUROC" in found
    run = compared_run(tmp_path / "alone", [interval])
    run.cells = [cell for cell in run.cells if cell["dataset"] == "cola"]
    alone = sentences(Run({name: getattr(run, name) for name in KEYS}, run._metrics, run.paths.results))
    assert f"{answer}: against the best other, SR, error-AUROC {points}." in alone


def test_without_intervals_nothing_is_judged():
    assert "not run: no setting has AdUE beside another of these scores." in sentences(run_of({"cola": 0.99}))


def test_the_best_baseline_is_any_score_but_adues_own(tmp_path: Path):
    """Names are whole: fluency is not FLU, and a score of another predictive counts."""
    others = {"point/fluency": "fluency", "ensemble-5/mutual_information": "MI (ensemble-5)", "point/adue2": "adue2"}
    for other, title in others.items():
        found = sentences(compared_run(tmp_path / title, [ROUND_ZERO], other))
        assert f"AdUE’s own: {title}): +1.2 points [−13.0, +10.0], not distinguishable." in found
    own = sentences(compared_run(tmp_path / "own", [ROUND_ZERO], "point/adue_lambda_50"))
    assert "baseline" not in own
