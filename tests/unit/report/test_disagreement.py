"""One change at a time, found in the suite's own recipes and datasets; its differences against values made here."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from peftuq import artifacts
from peftuq.cells import Setting
from peftuq.config.study import Study
from peftuq.evaluation import gather
from peftuq.jobs.jobs import Jobs
from peftuq.metrics.bootstrap import resample_counts
from peftuq.metrics.calibration import ece
from peftuq.metrics.detection import auroc
from peftuq.paths import Paths
from peftuq.report import formats
from peftuq.report.disagreement import section, tables
from peftuq.report.disagreement.differences import Comparison, resampled_ece
from peftuq.report.disagreement.factors import Change, Side, changes
from peftuq.report.parts import Picture
from peftuq.report.run import Run
from peftuq.report.tables import Table

ROOT = Path(__file__).parents[3]
N = 60
BASE = "protocol_demo"
CHANGES = {  # factor, from → to
    ("Prompt", "options_first → letters"),
    ("Prompt", "options_first → laplace_select"),
    ("Prompt", "options_first → blob_return_label"),
    ("LM head", "adapted → frozen"),
    ("Steps", "48 → 24"),
    ("Steps", "48 → 96"),
    ("Precision", "fp32 → bf16"),
    ("Dropout", "0 → 0.1"),
    ("Reference", "blob: paper → code"),
    ("Reference", "scalabl: paper → code"),
    ("Reference", "swag: paper → code"),
    ("Reference", "tfb: paper → code"),
    ("Split", "snippets2_choice → snippets2_resplit_choice"),
}


def cells_of(suite: str, precision: str = "fp32") -> dict[str, Any]:
    """cells.json of a suite, as a run of it would write it where `auto` means `precision`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PEFTUQ_PRECISION", precision)
        found = Jobs(Study({"suites": [suite], "sources": ["registry", "hub"]}, ROOT / "config")).list_cells.cells
    return json.loads(json.dumps(found))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of the small suite: its per-example scores, and their metrics."""
    described = cells_of("demo_disagreement")
    paths = Paths(str(tmp_path_factory.mktemp("disagreement")))
    columns: dict[str, list] = {name: [] for name in gather.COLUMNS}
    recipes = list(described["recipes"])
    for cell in described["cells"]:
        recipe = recipes.index(cell["recipe"])
        rng = np.random.default_rng([recipe, cell["seed"], len(cell["predictive"])])
        sr = rng.uniform(0, 0.5, N)
        error = rng.uniform(size=N) < sr * (0.6 + 0.1 * recipe)
        key = tuple(cell[name] for name in ("model", "dataset", "recipe", "seed", "predictive"))
        ids = np.arange(N) + 1000 * (cell["dataset"] != "snippets2_choice")
        written = {"eval": ["test"] * N, "id": ids, "error": error.tolist(), "sr": sr, "entropy": sr, "margin": sr}
        artifacts.write_scores(paths.scores(*key, "softmax"), written, {})
        for method, metric, value in (("prediction", "ece_15", ece(1 - sr, ~error)), ("sr", "auroc", auroc(sr, error))):
            row = {**cell, "suite": "s", "eval": cell["dataset"], "method": method, "metric": metric, "value": value}
            for name in gather.COLUMNS:
                columns[name].append(row[name])
    return Run(described, columns, paths.results)


@pytest.fixture(scope="module")
def built(run: Run) -> dict[str, Any]:
    found = section.SECTION.build(run, "disagreement")
    assert found is not None
    return {"findings": found.findings, **{item.name: item for item in found.all()}}


def test_every_row_changes_one_thing(run):
    found = changes(run, run.settings("disagreement"))
    assert {change.key for change in found} == CHANGES and len(found) == len(CHANGES)
    for change in found:
        kind = change.text.partition(":")[0]
        base = BASE if change.factor != "Reference" or kind == "tfb" else f"{BASE}_{kind}"
        assert change.base.setting.recipe == base
        sampled = {"tfb": "tfb-5"}.get(kind, "posterior_samples-5") if change.factor == "Reference" else "point"
        assert change.base.predictive == sampled


def test_where_auto_is_bf16_nothing_is_shown_of_a_recipe_that_is_the_same(run):
    found = Run(cells_of("demo_disagreement", "bf16"), {name: [] for name in gather.COLUMNS}, "r")
    keys = {change.key for change in changes(found, found.settings("disagreement"))}
    assert keys == {key for key in CHANGES if key[0] != "Precision"}


def test_the_grid_for_a_cluster_varies_the_same_things():
    found = Run(cells_of("disagreement", "bf16"), {name: [] for name in gather.COLUMNS}, "r")
    keys = [change.key for change in changes(found, found.settings("disagreement"))]
    assert {factor for factor, _ in keys} == {factor for factor, _ in CHANGES}
    assert {text for factor, text in keys if factor == "Steps"} == {"5,000 → 2,000", "5,000 → 10,000"}
    assert ("Precision", "bf16 → fp32") in keys
    assert keys.count(("LM head", "adapted → frozen")) == 2 * 3  # models and datasets
    assert keys.count(("Split", "arc_challenge_validation → arc_challenge")) == 2


def test_a_change_is_averaged_over_models_and_datasets():
    described = cells_of("disagreement", "bf16")
    settings = list(dict.fromkeys((cell["model"], cell["dataset"]) for cell in described["cells"]))
    moved = {setting: 0.01 * (-1) ** i * (i + 1) for i, setting in enumerate(settings)}
    columns: dict[str, list] = {name: [] for name in gather.COLUMNS}
    for cell in described["cells"]:
        change = moved[cell["model"], cell["dataset"]] * (cell["recipe"] == "laplace_lora_inner")
        added = {"suite": "s", "eval": cell["dataset"], "method": "prediction", "metric": "ece_15"}
        row = {**cell, **added, "value": 0.2 + 0.05 * cell["seed"] + change}
        for name in gather.COLUMNS:
            columns[name].append(row[name])
    found = Run(described, columns, "r")
    table = tables.over_all(found, tables.Subject(found, found.settings("disagreement")))
    row = {row.labels: row.entries for row in table.rows}["LM head", "adapted → frozen"]
    values = np.array([moved[setting] for setting in settings[:6]])
    half = 2.5705818366147395 * np.std(values, ddof=1) / np.sqrt(6)  # Student's t, five degrees of freedom
    assert row[0].text == "6"
    assert row[1].value == pytest.approx(100 * values.mean())
    assert row[1].interval == pytest.approx((100 * (values.mean() - half), 100 * (values.mean() + half)))
    assert row[2].value == pytest.approx(100 * np.abs(values).mean())
    assert row[3].text == "missing"  # no AUROC


def test_differences_are_of_the_same_seeds_and_their_intervals_of_the_same_examples(run, built):
    text = formats.to_csv(built["disagreement"])
    rows = {(row["What changes"], row["From → to"]): row for row in csv.DictReader(io.StringIO(text))}
    assert rows.keys() == CHANGES | {("Seed", "another")}
    row = rows["Dropout", "0 → 0.1"]
    metrics = {"ECE (15 bins), %": (ece, lambda sr, error: (1 - sr, ~error)), "error-AUROC ×100": (auroc, lambda *x: x)}
    counts = resample_counts(N, 1000)
    for name, (metric, arguments) in metrics.items():
        values = []
        for seed in range(3):
            sides = [
                run.scores(Setting("smollm2", "snippets2_choice", recipe), seed, "softmax")
                for recipe in (BASE, f"{BASE}_dropout")
            ]
            whole = [metric(*arguments(side.variants["sr"], side.error)) for side in sides]
            drawn = []
            for count in counts:
                rows_of = np.repeat(np.arange(N), count)
                base, other = (metric(*arguments(s.variants["sr"][rows_of], s.error[rows_of])) for s in sides)
                drawn.append(other - base)
            values.append((whole[1] - whole[0], drawn))
        estimate = np.mean([value for value, _ in values])
        low, high = np.quantile(np.mean([drawn for _, drawn in values], axis=0), (0.025, 0.975))
        assert float(row[f"{name} / difference"]) == pytest.approx(100 * estimate)
        assert float(row[f"{name} / difference low"]) == pytest.approx(100 * low)
        assert float(row[f"{name} / difference high"]) == pytest.approx(100 * high)


def test_other_examples_are_compared_over_seeds(run):
    base, other = (Setting("smollm2", dataset, BASE) for dataset in ("snippets2_choice", "snippets2_resplit_choice"))
    comparison = Comparison(run, Change("Split", "", Side(base), Side(other)))
    values = comparison.differences("ece_15")
    half = 4.302652729911275 * np.std(values, ddof=1) / np.sqrt(3)  # Student's t, two degrees of freedom
    found = comparison.found["ece_15"]
    assert found.interval == pytest.approx((np.mean(values) - half, np.mean(values) + half))


def test_a_resamples_ece_is_that_of_its_examples():
    rng = np.random.default_rng(1)
    sr = np.concatenate([rng.uniform(0, 0.8, 30), [0.0, 1.0, 0.8]])  # 1 - sr at both ends and on an edge
    error = rng.uniform(size=33) < 0.4
    counts = resample_counts(33, 20)
    expected = [ece(np.repeat(1 - sr, count), np.repeat(~error, count)) for count in counts]
    assert resampled_ece(sr, error, counts) == pytest.approx(expected)


def test_every_change_stands_in_the_figure(built):
    (picture,) = (item for item in built.values() if isinstance(item, Picture))
    labels = [label.get_text() for label in picture.figure.axes[0].get_yticklabels()]
    assert set(labels) == {f"{factor}: {text}" for factor, text in CHANGES}
    assert [isinstance(item, Table) for item in built.values()].count(True) == 1  # no change has two settings
    assert built["findings"][0].startswith("Of 13 single changes ")
