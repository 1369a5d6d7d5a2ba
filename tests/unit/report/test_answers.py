"""The first page: its answers, the matrix, the verdicts and the ranks, each against the run's own numbers."""

import fabricate
import numpy as np
import pytest

from peftuq.report import document, verdicts
from peftuq.report.answers import leads, matrix, methods, questions, ranks, summary
from peftuq.report.answers.methods import Candidate, Unit
from peftuq.report.intervals import Gap
from peftuq.report.parts import Question, Section
from peftuq.report.run import Run
from peftuq.report.verdicts import FAILS, HOLDS, NOT_RUN, UNKNOWN, Checked

PLAIN, ADUE = Candidate("LoRA", "point", "sr"), Candidate("LoRA", "point", "adue")


@pytest.fixture(scope="module")
def run(fabricated: dict[str, str]) -> Run:
    return Run.read(**fabricated)


def a_run(adue: list[float], datasets: list[str] = fabricate.PAPER_DATASETS, seeds: int = 1) -> Run:
    """RoBERTa and ELECTRA on datasets: the softmax response has 0.7 everywhere, AdUE as given, distances 0.6."""
    pairs = [(model, dataset) for model in ("roberta", "electra") for dataset in datasets][: len(adue)]
    rows = [
        (*pair, "point", variant, 0, "auroc", value if variant == "adue" else 0.7 if variant == "sr" else 0.6)
        for pair, value in zip(pairs, adue, strict=True)
        for variant in ("sr", "adue", "md", "rmd", "rde", "md_l2", "rmd_l2", "rde_l2")
    ]
    cells = fabricate.cells_of({"adue": [(*pair, []) for pair in pairs]}, seeds)
    return Run(cells, fabricate.long_table(rows), "nowhere")


def answers(run: Run, title: str) -> str:
    return " ".join(
        text for question in questions.questions(run) if question.title == title for text in question.answers
    )


def test_the_leader_is_named_with_its_interval():
    found = answers(a_run([0.80, 0.81, 0.82]), "Which score finds the errors?")
    assert found == (
        "Classification (3 tasks): AdUE of LoRA leads with error-AUROC 81.0, +11.0 points [+8.5, +13.5] against "
        "softmax response of LoRA (70.0): higher. Of the 6 others 0 cannot be told from it."
    )
    undecided = answers(a_run([0.90, 0.55, 0.72]), "Which score finds the errors?")
    assert "AdUE of LoRA leads" in undecided
    assert ": not distinguishable. " in undecided
    behind = answers(a_run([0.65, 0.65, 0.65]), "Which score finds the errors?")
    assert "AdUE of LoRA comes nearest with error-AUROC 65.0, −5.0 points [−5.0, −5.0]" in behind


def test_tasks_without_the_baseline_decide_nothing():
    run = a_run([0.80, 0.81, 0.82])
    dataset = run.cells[0]["dataset"]
    table = run._metrics
    lost = [m == "sr" and d == dataset for m, d in zip(table["method"], table["dataset"], strict=True)]
    metrics = {name: [v for v, gone in zip(column, lost, strict=True) if not gone] for name, column in table.items()}
    cells = {name: getattr(run, name) for name in ("suites", "cells", "models", "datasets", "recipes", "methods")}
    found = answers(Run({**cells, "limit": {}, "limits": {}}, metrics, "nowhere"), "Which score finds the errors?")
    assert found.startswith("Classification (2 tasks): AdUE of LoRA leads with error-AUROC 81.5, +11.5 points")


def test_a_difference_within_one_setting_has_the_bootstraps_interval(run: Run):
    (task,) = [one for one in methods.tasks(run) if one.dataset == "toxigen"]
    found = leads.Leads(run).between(ADUE, PLAIN, [Unit(task)], "auroc")
    expected = run.comparison(task.settings["LoRA"]).difference("point/adue", "point/sr")
    assert tuple(found)[:3] == tuple(expected)[2:5]


def test_values_that_are_compared_are_over_common_seeds(run: Run):
    (task,) = [one for one in methods.tasks(run) if one.dataset == "snippets5"]
    both = leads.Leads(run).both(ADUE, PLAIN, [Unit(task)], "auroc")
    gap = leads.Leads(run).between(ADUE, PLAIN, [Unit(task)], "auroc")
    assert both[0] - both[1] == pytest.approx(gap.estimate)


def test_the_matrix_has_the_means_and_marks_only_what_is_clear(run: Run):
    table = matrix.matrix(run)
    rows = {row.labels[0]: row.entries for row in table.rows}
    tasks = [task for task in methods.tasks(run) if task.kind == "choice"]
    groups = [(column.group, column.label) for column in table.columns]
    place = groups.index((f"Multiple choice, {len(tasks)} task", "AUROC"))
    expected = [run.over_seeds(task.settings["LoRA"], "auroc", "adue").mean for task in tasks]
    assert rows["AdUE · LoRA"][place].value == pytest.approx(100 * np.mean(expected))
    assert not any(entry.best for entry in rows["LoRA"])  # nothing is better than itself
    clear = matrix.matrix(a_run([0.80, 0.81, 0.82]))
    best = {row.labels[0] for row in clear.rows if row.entries[0].best}
    assert best == {"AdUE · LoRA"}
    assert not {"Entropy · LoRA", "Margin · LoRA"} & rows.keys()


def test_what_varies_between_kinds_has_no_number_where_it_did_not_run(run: Run):
    (row,) = [row for row in matrix.matrix(run).rows if row.labels == ("MD · LoRA",)]
    labels = [column.label for column in matrix.matrix(run).columns]
    assert {row.entries[i].plain for i, label in enumerate(labels) if "ECE" in label} == {"–"}


def test_recipes_of_one_family_keep_their_names():
    cells = fabricate.cells_of({"adue": [("roberta", "cola", [])]}, 1)
    other = [{**cell, "recipe": "wide"} for cell in cells["cells"]]
    cells = {**cells, "cells": [*cells["cells"], *other], "recipes": {**cells["recipes"], "wide": fabricate._RECIPE}}
    (task,) = methods.tasks(Run(cells, fabricate.long_table([]), "nowhere"))
    assert list(task.settings) == ["LoRA", "LoRA (wide)"]


def test_ranks_are_drawn_where_there_are_tasks_enough():
    assert list(ranks.pictures(a_run([0.8] * 5))) == []
    (picture,) = ranks.pictures(a_run([0.80, 0.81, 0.82, 0.83, 0.79, 0.78]))
    texts = [text.get_text() for text in picture.figure.axes[0].texts]
    assert any(text.startswith("AdUE of LoRA 1.0") for text in texts)
    assert any("6 tasks, 8 methods (Friedman p < 0.001; CD = 4.29)" in text for text in texts)


@pytest.mark.parametrize(
    ("low", "high", "answer"), [(-2, -1, HOLDS), (1, 2, FAILS), (-1, 1, UNKNOWN), (-np.inf, np.inf, UNKNOWN)]
)
def test_a_claim_is_judged_by_the_interval(low: float, high: float, answer: str):
    assert verdicts.judged(Gap((low + high) / 2, low, high, 3, "seed"), "lower") == answer


def test_all_papers_claims_stand_in_one_table():
    one = Section("P", claims=[Checked("first", HOLDS, "x"), Checked("second", NOT_RUN, "no task")])
    other = Section("Q", claims=[Checked("third", UNKNOWN, "y")], questions=[Question("At what cost?", ["Much."])])
    built = summary.section(a_run([0.8]), [one, other], ["R"])
    (table,) = [item for item in built.all() if getattr(item, "name", "") == "verdicts"]
    assert [(row.heading, row.entries[0].plain, row.entries[1].plain) for row in table.rows] == [
        ("P", "first", "holds"),
        ("P", "second", "not run"),
        ("Q", "third", "cannot be said"),
    ]
    asked = {question.title: question.answers for question in built.questions}
    assert asked["At what cost?"] == ["Much."]
    assert asked["What was not run?"] == [
        "Not part of this run: R.",
        "Of 3 claims of the papers, 1 could not be checked, see the verdicts.",
    ]


def test_tables_of_every_cell_stand_at_the_end(run: Run):
    content = document.sections(run, "today")
    assert [section.title for section in content] == [
        "Summary", "AdUE", "What ran", "Appendix: every method in every cell",
    ]  # fmt: skip
    behind = {item.name for item in content[-1].all()}
    assert {"adue_selective", "adue_shifts", "adue_table7_all_encoders"} <= behind
    assert not behind & {item.name for section in content[:-1] for item in section.all()}
