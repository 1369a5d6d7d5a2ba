"""The AdUE section's tables on a fabricated run: numbers, ranks, and gaps that are seen."""

import fabricate
import numpy as np
import pytest

from peftuq import files
from peftuq.cells import Setting
from peftuq.metrics.ranks import average_ranks
from peftuq.report import methods
from peftuq.report.adue import calibration, paper, rivals, search, selective
from peftuq.report.run import Run
from peftuq.report.tables import Table

ROBERTA, LLAMA = Setting("roberta", "cola", "lora"), Setting("llama2_7b", "sst2", "lora")


@pytest.fixture(scope="module")
def run(fabricated: dict[str, str]) -> Run:
    return Run.read(**fabricated)


def without(run: Run, **wanted) -> Run:
    """The same run, but rows of the metrics table that match are gone."""
    table = run._metrics
    keep = [i for i in range(len(table["value"])) if not all(table[name][i] == value for name, value in wanted.items())]
    kept = {name: [column[i] for i in keep] for name, column in table.items()}
    return with_metrics(run, kept)


def undefined(run: Run, **wanted) -> Run:
    """The same run, but rows of the metrics table that match have no value."""
    table = {name: list(column) for name, column in run._metrics.items()}
    for i in range(len(table["value"])):
        if all(table[name][i] == value for name, value in wanted.items()):
            table["value"][i] = None
    return with_metrics(run, table)


def with_metrics(run: Run, metrics: dict) -> Run:
    names = ("suites", "cells", "models", "datasets", "recipes", "methods", "limit", "limits")
    return Run({name: getattr(run, name) for name in names}, metrics, run.paths.results)


def tables_of(run: Run) -> dict[str, Table]:
    found = (make(run, run.settings("adue")) for make in (*paper.TABLES, *paper.EVERY_SCORE))
    return {table.name: table for table in found if table is not None}


def entry(table: Table, labels: tuple[str, ...], group: str, label: str):
    (row,) = [row for row in table.rows if row.labels == labels]
    return row.entries[[(c.group, c.label) for c in table.columns].index((group, label))]


AUROC = {"metric": "auroc", "method": "adue", "predictive": "point"}
COLA = {"model": "roberta", "dataset": "cola", "eval": "cola"}
HEADLINE, ROW = "adue_table1_error_auroc", ("AdUE", "ours")


def test_a_missing_cell_is_shown_as_missing(run: Run):
    table = tables_of(without(run, **COLA, **AUROC))[HEADLINE]
    found = entry(table, ROW, "RoBERTa-base", "cola")
    assert (found.plain, found.note) == ("missing", "seeds 0, 1, 2: not among the run’s metrics")
    assert entry(table, ("AdUE", "paper"), "RoBERTa-base", "cola").plain == "75.4 ± 3.0"
    assert entry(table, ("AdUE", "difference"), "RoBERTa-base", "cola").plain == "–"
    rank = entry(table, ROW, "Encoders", "Rank")
    assert rank.note == "not ranked for want of a seed with a value of every method: RoBERTa-base on cola"


def test_an_undefined_cell_is_shown_as_undefined(run: Run):
    found = entry(tables_of(undefined(run, **COLA, **AUROC))[HEADLINE], ROW, "RoBERTa-base", "cola")
    assert (found.plain, found.note) == ("undefined", "seeds 0, 1, 2: undefined (all wrong or all right)")


def test_one_missing_seed_leaves_a_mean_with_a_footnote(run: Run):
    whole = entry(tables_of(run)[HEADLINE], ROW, "RoBERTa-base", "cola")
    part = entry(tables_of(without(run, **COLA, **AUROC, seed=1))[HEADLINE], ROW, "RoBERTa-base", "cola")
    assert not whole.note
    assert part.note == "mean over 2 of 3 seeds; seed 1: not among the run’s metrics"
    assert part.value != whole.value


def test_no_ranked_cell_left_is_undefined_not_an_error(run: Run):
    table = tables_of(without(run, metric="auroc", method="rde_l2"))[HEADLINE]
    assert entry(table, ROW, "Encoders", "Rank").plain == "undefined"


def test_ranks_are_those_of_the_metrics_floor(run: Run):
    for kind, group in (("encoder", "Encoders"), ("decoder", "Generative models")):
        settings = [s for s in run.settings("adue") if run.kind(s) == kind]
        values = {m.title: {s: run.over_seeds(s, "auroc", m.variant).mean for s in settings} for m in methods.HEADLINE}
        expected = average_ranks(values).mean
        for method in methods.HEADLINE:
            found = entry(tables_of(run)[HEADLINE], (method.title, "ours"), group, "Rank")
            assert found.value == expected[method.title]
            assert found.best == (expected[method.title] == min(expected.values()))


def test_ablation_ranks_are_over_all_cells(run: Run):
    values = {
        m.title: {s: run.over_seeds(s, "auroc", m.variant).mean for s in run.settings("adue")}
        for m in methods.ABLATIONS
    }
    expected = average_ranks(values).mean
    table = tables_of(run)["adue_table2_ablation_ranks"]
    assert {row.labels[0]: row.entries[0].value for row in table.rows} == expected


def test_only_the_papers_own_cells_stand_beside_the_papers(run: Run):
    table = tables_of(run)[HEADLINE]
    assert entry(table, ("SR", "paper"), "all-MiniLM-L6-v2", "snippets2").empty
    assert entry(table, ("SR", "paper"), "LLaMA-2-7B", "sst2").plain == "88.3 ± 1.8"
    accuracy = tables_of(run)["adue_table6_accuracy"]
    assert entry(accuracy, ("RoBERTa-base", "paper"), "", "cola").plain == "83.3 ± 0.9"
    assert entry(accuracy, ("RoBERTa-base", "paper"), "", "sst2").empty  # the paper has it, this run was not asked


def test_methods_that_were_not_asked_for_are_named(run: Run):
    cells = {
        name: getattr(run, name) for name in ("suites", "models", "datasets", "recipes", "methods", "limit", "limits")
    }
    cells["cells"] = [{**cell, "scores": [s for s in cell["scores"] if s != "rde"]} for cell in run.cells]
    table = tables_of(Run(cells, run._metrics, run.paths.results))[HEADLINE]
    assert not any(row.labels[0].startswith("RDE") for row in table.rows)
    assert table.remarks == ("Not part of this run: RDE (L2).",)


def test_a_run_without_the_papers_cells_has_plain_rows():
    cells = fabricate.cells_of({"demo": [("minilm", "snippets2", [])]}, 1)
    tables = tables_of(Run(cells, fabricate.long_table([]), "nowhere"))
    assert {row.labels for row in tables[HEADLINE].rows} == {(method.title,) for method in methods.HEADLINE}
    assert "adue_table4_ablation_decoders" not in tables


def test_calibration_stands_before_and_after_temperature(run: Run):
    table = calibration.calibration(run, run.settings("adue"))
    rows = {(row.heading, row.labels): row.entries for row in table.rows}
    before = rows["RoBERTa-base on cola", ("as trained",)]
    after = rows["RoBERTa-base on cola", ("temperature",)]
    assert before[0].value == pytest.approx(100 * run.over_seeds(ROBERTA, "ece_15").mean)
    assert after[0].value == pytest.approx(100 * run.over_seeds(ROBERTA, "ece_15", predictive="temperature").mean)
    labels = [column.label for column in table.columns]
    assert before[labels.index("T")].plain == "–"
    assert 1.2 < after[labels.index("T")].value < 1.6
    mass = labels.index("Mass, %")
    assert before[mass].plain == "–"
    assert 80 < rows["SmolLM2-135M-Instruct on snippets2_choice", ("as trained",)][mass].value < 100


def test_the_best_of_a_metric_is_by_its_own_direction(run: Run):
    table = selective.SELECTIVE(run, run.settings("adue"))
    labels = [column.label for column in table.columns]
    rows = [row for row in table.rows if row.heading == "RoBERTa-base on cola"]
    for label, choose in (("AURC ×100", min), ("PRR", max), ("Risk at 80 %", min), ("Acc. at 80 %", max)):
        column = [row.entries[labels.index(label)] for row in rows]
        best = choose(entry.value for entry in column)
        assert [entry.best for entry in column] == [entry.value == best for entry in column]


def test_every_shift_is_there_and_compared_with_its_own_test(run: Run):
    table = selective.SHIFTS(run, run.settings("adue"))
    shifted = {(row.heading, row.labels[0]) for row in table.rows}
    assert shifted == {
        ("all-MiniLM-L6-v2 on snippets2", "tweets2"),
        ("all-MiniLM-L6-v2 on snippets2", "nyt2"),
        ("SmolLM2-135M-Instruct on snippets2_choice", "tweets2_choice"),
    }
    setting = Setting("minilm", "snippets2", "lora")
    (row,) = [row for row in table.rows if row.labels == ("nyt2", "SR")]
    assert row.entries[2].value == pytest.approx(100 * run.over_seeds(setting, "ood_auroc", "sr", on="nyt2").mean)


def test_conformal_sets_are_never_called_best(run: Run):
    table = calibration.CONFORMAL(run, run.settings("adue"))
    assert len(table.rows) == 2 * (6 + 3)  # two probabilities, six settings and three shifts
    assert not any(entry.best for row in table.rows for entry in row.entries)


def test_the_comparison_prints_what_the_bootstrap_found(run: Run):
    table = rivals.BASELINE(run, run.settings("adue"))
    (row,) = [row for row in table.rows if (row.heading, row.labels) == ("LLaMA-2-7B on sst2", ("sst2",))]
    found = files.read_json(run.paths.comparison(*LLAMA))["test"]
    means = {name: np.mean(list(by_seed.values())) for name, by_seed in found["auroc"].items() if "adue" not in name}
    best = {methods.title(name): name for name in means}[row.entries[2].plain]
    assert means[best] == max(means.values())
    (d,) = [d for d in found["differences"] if {d["method"], d["other"]} == {best, "point/adue"}]
    sign = 1 if d["other"] == best else -1
    assert row.entries[0].plain == "AdUE"
    assert row.entries[3].value == pytest.approx(100 * means[best])
    assert row.entries[4].value == pytest.approx(sign * 100 * d["estimate"])
    assert sorted(row.entries[4].interval) == pytest.approx(sorted([sign * 100 * d["low"], sign * 100 * d["high"]]))
    assert row.entries[4].best == (d["low"] > 0 or d["high"] < 0)


def test_the_best_score_stands_against_the_next(run: Run):
    table = rivals.BEST(run, run.settings("adue"))
    (row,) = [row for row in table.rows if (row.heading, row.labels) == ("LLaMA-2-7B on sst2", ("sst2",))]
    found = files.read_json(run.paths.comparison(*LLAMA))["test"]
    means = sorted({round(float(np.mean(list(by_seed.values()))), 9) for by_seed in found["auroc"].values()})
    assert [row.entries[1].value, row.entries[3].value] == pytest.approx([100 * means[-1], 100 * means[-2]])
    assert row.entries[4].value > 0


def test_a_comparison_that_was_not_made_is_missing(run: Run):
    elsewhere = with_metrics(run, run._metrics)
    elsewhere.paths = type(run.paths)("nowhere")
    table = rivals.BASELINE(elsewhere, run.settings("adue"))
    assert all(row.entries[0].plain == "missing" for row in table.rows)
    table = search.SEARCH(elsewhere, run.settings("adue"))
    assert all(row.entries[0].plain == "missing" for row in table.rows)


def test_the_search_is_counted_by_seed():
    assert search._counted([1e-3, 1e-4, 1e-4]) == "0.0001 (2), 0.001 (1)"
    assert search._counted([10, 10, 10]) == "10"


@pytest.mark.parametrize(
    ("name", "title"),
    [("point/md_l2", "MD (L2)"), ("temperature/entropy", "Entropy (temperature)"), ("point/new_score", "new score")],
)
def test_titles_of_compared_methods(name: str, title: str):
    assert methods.title(name) == title


def test_every_printed_metric_has_a_direction():
    from peftuq.metrics.evaluate import METRICS

    assert set(methods.FORMATS) <= set(METRICS)
