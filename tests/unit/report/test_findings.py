"""Sentences of the first page: each follows from the numbers, and changes with them."""

import fabricate

from peftuq import files
from peftuq.report.adue.findings import findings
from peftuq.report.run import Run

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
    return " ".join(findings(run, run.settings("adue")))


def test_ranks_are_counted():
    found = sentences(run_of({"cola": 0.85, "sst2": 0.75, "sst5": 0.9}))
    assert "AdUE ranks first of 5 methods in 2 of 3 settings" in found
    assert "AdUE 1.33, SR 1.67, RMD (L2) 4.00" in found


def test_a_tie_is_not_first():
    assert "ranks first of 5 methods in 0 of 1 setting;" in sentences(run_of({"cola": 0.8}))


def test_calibration_is_counted_either_way():
    better = sentences(run_of({"cola": 0.85}, ece=0.05, error_ece=0.02))
    assert "Temperature scaling lowers the predictions’ ECE-15 in 1 of 1 setting." in better
    assert "than the softmax response in 1 of 1 setting." in better
    worse = sentences(run_of({"cola": 0.85}, ece=0.2, error_ece=0.2))
    assert "ECE-15 in 0 of 1 setting." in worse
    assert "than the softmax response in 0 of 1 setting." in worse


def test_the_distance_to_the_paper_is_measured():
    """The paper has AdUE 75.4, SR 75.1, RMD 64.2, 65.3, MD 52.8, 73.7, RDE 50.6, 73.4 on CoLA."""
    gaps = [60 - 64.2, 60 - 65.3, 60 - 52.8, 60 - 73.7, 60 - 50.6, 60 - 73.4, 80 - 75.1, 85 - 75.4]
    mean = sum(map(abs, gaps)) / 8
    found = sentences(run_of({"cola": 0.85}))
    assert f"by {mean:.1f} points on average over 8 numbers, at most by −13.7 (MD (L2), RoBERTa-base on cola)" in found


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


def test_intervals_are_counted_by_the_side_of_zero(tmp_path):
    run = run_of({"cola": 0.85, "sst2": 0.75, "sst5": 0.9}, str(tmp_path))
    for setting, (low, estimate, high) in zip(
        run.settings("adue"), [(0.01, 0.05, 0.09), (-0.09, -0.05, -0.01), (-0.04, -0.02, 0.01)], strict=True
    ):
        difference = {"point/adue": {"estimate": estimate, "low": low, "high": high}}
        found = {"test": {"best_baseline": "point/sr", "auroc": {}, "difference": difference}}
        files.write_json(run.paths.comparison(*setting), found)
    assert (
        "Against the best baseline of each of 3 settings, AdUE’s error-AUROC differs by −5.0 to +5.0 points (median "
        "−2.0); the paired 95 % interval lies above zero in 1 and below zero in 1."
    ) in sentences(run)
