"""The UQ4CT section on fabricated files: costs, FLU, crossed methods, findings and figures."""

from pathlib import Path

import fabricate_uq4ct as made
import numpy as np
import pytest
from test_figures import check, texts

from peftuq import artifacts
from peftuq.report import document
from peftuq.report.figures import bars, curves, reliability, style
from peftuq.report.parts import Picture, Section
from peftuq.report.run import Run
from peftuq.report.tables import Entry, Table
from peftuq.report.uq4ct import claims, cost, findings, pictures, recipes, section
from peftuq.report.verdicts import Checked


@pytest.fixture(scope="module")
def fabricated(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return made.results(tmp_path_factory.mktemp("uq4ct") / "results", made.SMALL, n=30)


@pytest.fixture(scope="module")
def run(fabricated: dict[str, str]) -> Run:
    return Run.read(**fabricated)


@pytest.fixture(scope="module")
def built(run: Run) -> Section:
    return section.SECTION.build(run, "uq4ct")


@pytest.fixture(scope="module")
def tables(built: Section) -> dict[str, Table]:
    return {item.name: item for item in built.all() if isinstance(item, Table)}


def entry(table: Table, heading: str, title: str, label: str, group: str = "") -> Entry:
    (row,) = [row for row in table.rows if (row.heading, row.labels[0]) == (heading, title)]
    (column,) = [i for i, c in enumerate(table.columns) if (c.label, c.group) == (label, group)]
    return row.entries[column]


def task_of(run: Run, model: str) -> recipes.Task:
    (task,) = [task for task in recipes.tasks(run, run.settings("uq4ct")) if task.model == model]
    return task


OBQA, SST5 = "SmolLM2-135M-Instruct on obqa", "BERT on sst5"


def test_there_is_no_section_without_its_suite(run: Run):
    cells = {
        name: getattr(run, name) for name in ("cells", "models", "datasets", "recipes", "methods", "limit", "limits")
    }
    suites = {"uq4ct": {**run.suites["uq4ct"], "sections": ["adue"]}}
    assert section.SECTION.build(Run({**cells, "suites": suites}, run._metrics, "nowhere"), "uq4ct") is None


def test_every_part_is_there(tables: dict[str, Table], built: Section):
    assert set(tables) == {
        "uq4ct_table1_shift",
        "uq4ct_table2_beta",
        "uq4ct_table3_incremental",
        "uq4ct_table4_in_distribution",
        "uq4ct_table5_top_k",
        "uq4ct_table6_spuq",
        *(f"uq4ct_{name}" for name in ("classification", "measures", "recipes", "experts", "members", "flu", "cost")),
        "uq4ct_crossed",
    }
    drawn = [item.name for item in built.all() if isinstance(item, Picture)]
    figures = ["figure3_smollm2", "shift_smollm2_obqa", "ablations", "reliability"]
    assert sorted(drawn) == sorted(f"uq4ct_{name}" for name in [*figures, "figure3_bert"])


def test_costs_are_relative_to_the_plain_lora(tables: dict[str, Table]):
    table = tables["uq4ct_cost"]
    assert entry(table, OBQA, "LoRA", "×", "Training, s").value == 1
    assert entry(table, OBQA, "UQ4CT", "measured", "Training, s").value == pytest.approx(160.5)
    assert entry(table, OBQA, "UQ4CT", "×", "Training, s").value == pytest.approx(160.5 / 100.5)
    assert entry(table, OBQA, "UQ4CT", "×", "Trainable").value == pytest.approx(4 / 20)
    assert entry(table, OBQA, "Untuned model", "measured", "Training, s").value == 0
    # Eight members of seeds 0 to 8, of which the fabricated run has two: 8 times their mean.
    assert entry(table, OBQA, "Ensemble of 8", "measured", "Training, s").value == pytest.approx(8 * 100.5)
    assert entry(table, OBQA, "Ensemble of 8", "×", "Evaluation, ms").value == pytest.approx(8)
    assert entry(table, OBQA, "LoRA, temperature", "×", "Evaluation, ms").value == pytest.approx(1)
    assert entry(table, OBQA, "MC dropout of 10", "×", "Evaluation, ms").value == pytest.approx(10)
    assert entry(table, OBQA, "Laplace-LoRA", "×", "Evaluation, ms").value == pytest.approx(3)


def test_a_cost_that_was_not_measured_is_missing(run: Run):
    elsewhere = Run(
        {
            n: getattr(run, n)
            for n in ("suites", "cells", "models", "datasets", "recipes", "methods", "limit", "limits")
        },
        run._metrics,
        "nowhere",
    )
    table = cost.table(elsewhere, recipes.tasks(elsewhere, elsewhere.settings("uq4ct")))
    found = entry(table, OBQA, "UQ4CT", "measured", "Training, s")
    assert found.plain == "missing"
    assert found.note


def test_flu_stands_beside_the_answers_probability(tables: dict[str, Table]):
    table = tables["uq4ct_flu"]
    assert {row.labels[0] for row in table.rows if row.heading == SST5} == {"MixLoRA", "UQ4CT"}
    assert entry(table, OBQA, "UQ4CT", "FLU, mean", "ECE, %").best  # fabricated so
    assert entry(table, OBQA, "MixLoRA", "FLU, last", "ECE, %").value > 25


def test_crossed_methods_are_of_both_kinds_of_task(tables: dict[str, Table]):
    table = tables["uq4ct_crossed"]
    assert {row.heading for row in table.rows} == {OBQA, SST5}
    for title in ("LoRA", "MixLoRA", "UQ4CT"):
        assert entry(table, SST5, title, "AdUE").value > 70
    assert entry(table, OBQA, "LoRA", "FLU, mean").plain == "–"
    assert entry(table, OBQA, "Untuned model", "AdUE").plain == "–"


def test_recipes_are_told_in_a_table(tables: dict[str, Table]):
    rows = {row.labels: [e.plain for e in row.entries] for row in tables["uq4ct_recipes"].rows}
    assert rows["UQ4CT", "r4"] == ["16", "8", "2", "1", "mean", "all"]
    assert rows["UQ4CT, growing β", "r5"][3] == "1, growing"
    assert rows["Untuned model", "r0"][:5] == ["–"] * 5


# -- findings --------------------------------------------------------------------------------------------------


def numbers(uq4ct: tuple[float, float], lora: tuple[float, float]) -> Run:
    """One choice task, with (accuracy, ECE) of UQ4CT and of LoRA, each of three seeds one point apart."""
    settings = {"r4": uq4ct, "r2": lora}
    task = ("smollm2", "obqa")
    cells = made.cells_of([made.cell((*task, name), seed, "point", ["test"]) for name in settings for seed in range(3)])
    rows = [
        (*task, "obqa", name, "point", "prediction", seed, metric, value + 0.01 * (seed - 1))
        for name, values in settings.items()
        for metric, value in zip(("accuracy", "ece_15"), values, strict=True)
        for seed in range(3)
    ]
    return Run(cells, made.long_table(rows), "nowhere")


SAME, LESS = "0.0 points [0.0, 0.0], not distinguishable", "−10.0 points [−10.0, −10.0], lower"


def verdict(run: Run, place: int = 0) -> Checked:
    return claims.claims(run, recipes.tasks(run, run.settings("uq4ct")))[place]


@pytest.mark.parametrize(
    ("uq4ct", "answer", "accuracy"),
    [
        ((0.80, 0.05), "holds", SAME),
        ((0.70, 0.05), "holds in part", LESS),
        ((0.80, 0.14), "holds in part", SAME),
        ((0.80, 0.20), "does not hold", SAME),
    ],
)
def test_the_verdict_follows_the_numbers(uq4ct: tuple[float, float], answer: str, accuracy: str):
    found = verdict(numbers(uq4ct, (0.80, 0.15)))
    assert found.claim == "UQ4CT’s ECE is over 25 % lower than that of LoRA, its accuracy is kept"
    assert found.answer == answer
    assert f"over 3 seeds of one choice task: {'lower' if uq4ct[1] < 0.15 else 'higher'};" in found.measured
    assert found.measured.endswith(f"accuracy {accuracy}")


def test_without_an_interval_nothing_is_decided():
    """Seeds whose differences are of both signs, and a seed alone: neither agrees nor contradicts."""
    run = numbers((0.80, 0.14), (0.80, 0.15))
    for position, (seed, metric) in enumerate(zip(run._metrics["seed"], run._metrics["metric"], strict=True)):
        if metric == "ece_15" and run._metrics["recipe"][position] == "r4":
            run._metrics["value"][position] = (0.05, 0.20, 0.15)[seed]
    alone = {
        name: [v for v, seed in zip(c, run._metrics["seed"], strict=True) if seed == 0]
        for name, c in run._metrics.items()
    }
    cells = {
        n: getattr(run, n) for n in ("suites", "cells", "models", "datasets", "recipes", "methods", "limit", "limits")
    }
    for one, expected in (
        (run, "over 3 seeds of one choice task: not distinguishable"),
        (Run(cells, alone, "nowhere"), "(1 seed: no interval) in one choice task: not distinguishable"),
    ):
        found = verdict(one)
        assert expected in found.measured
        assert found.answer == "cannot be said"


def test_findings_count_what_is_missing(run: Run):
    empty = {name: column[:0] for name, column in run._metrics.items()}
    cells = {
        n: getattr(run, n) for n in ("suites", "cells", "models", "datasets", "recipes", "methods", "limit", "limits")
    }
    bare = Run(cells, empty, "nowhere")
    found = findings.findings(bare, recipes.tasks(bare, bare.settings("uq4ct")))
    assert "of their values (one a seed) are missing" in found[0]
    assert found[1:] == [
        "No task of this run is one of the UQ4CT paper’s own, so its numbers stand beside none of ours."
    ]


def test_every_question_that_the_run_answers_is_answered(built: Section):
    text = " ".join([*built.findings, *(f"{one.claim}: {one.answer}, {one.measured}" for one in built.claims)])
    questions = [
        "MixLoRA",
        "temperature scaling",
        "Under shift",
        "(β = 1)",
        "growing β",
        "active experts",
        "FLU itself",
    ]
    for expected in (*questions, "FLU itself", "classification task", "Training UQ4CT took 1.6 times"):
        assert expected in text
    assert "not run" not in {one.answer for one in built.claims}


# -- figures ---------------------------------------------------------------------------------------------------


def test_nothing_is_cut_off_and_nothing_overlaps(built: Section):
    for picture in (item for item in built.all() if isinstance(item, Picture)):
        check(picture.figure)


def test_shift_sets_stand_in_the_order_of_their_distance(built: Section, run: Run):
    task = task_of(run, "smollm2")
    far = {name: pictures.distance(run, task, name) for name in ("arc_easy", "mmlu_law")}
    (shift,) = [item for item in built.all() if isinstance(item, Picture) and "shift" in item.name]
    ticks = [label.get_text() for label in shift.figure.axes[0].get_xticklabels()]
    assert ticks == ["obqa", *(f"{name} ({far[name]:.0f})" for name in sorted(far, key=far.get))]


def test_flu_is_the_mean_over_blocks_of_every_seed(run: Run):
    task = task_of(run, "smollm2")
    mean, last, top, correct = pictures._confidences(run, task.roles["uq4ct"])
    records = [artifacts.RecordFile(run.paths.records("smollm2", "obqa", "r4", seed))["test"] for seed in (0, 1)]
    np.testing.assert_allclose(mean, np.concatenate([r.flu[:, :, 0].mean(axis=1) for r in records]), rtol=1e-6)
    np.testing.assert_allclose(last, np.concatenate([r.flu[:, :, 1].mean(axis=1) for r in records]), rtol=1e-6)
    assert correct.mean() == pytest.approx(np.mean([r.logits.argmax(axis=1) == r.label for r in records]))
    assert (top > 0.25).all()
    assert pictures._confidences(run, task.roles["lora"])[0] is None


def test_reliability_bins_begin_at_the_least_flu():
    """K/E = 1/4: ten bins of width 0.075; a confidence of 0.3 is in the first, 0.35 in the second."""
    confidence, correct = np.array([0.25, 0.3, 0.35, 0.99]), np.array([True, False, True, True])
    score = reliability.Confidence("uq4ct", "UQ4CT", confidence, correct)
    figure = reliability.draw([reliability.Diagram("t", [score], 0.25, "FLU")])
    lower, upper = figure.axes
    (counts,) = [patch.get_data() for patch in lower.patches]
    np.testing.assert_allclose(counts.edges, 0.25 + 0.075 * np.arange(11))
    np.testing.assert_array_equal(counts.values, [2, 1, 0, 0, 0, 0, 0, 0, 0, 1])
    curve = next(line for line in upper.lines if line.get_label() == "UQ4CT")
    np.testing.assert_allclose(curve.get_xdata(), [0.275, 0.35, 0.99])
    np.testing.assert_allclose(curve.get_ydata(), [0.5, 1, 1])


def test_gaps_are_said_not_drawn_empty():
    empty = curves.Curve("uq4ct", "UQ4CT", [0.0, 1.0], [None, None], [None, None], [None, None])
    assert "no value" in [text for text, _ in texts(curves.draw([curves.Panel("t", "x", "y", [empty])]))]
    some = bars.Bars("lora", "LoRA", [50.0, None], [None, None], [None, 60.0])
    assert [text for text, _ in texts(bars.draw(["a", "b"], [bars.Measure("y", [some])]))].count("×") == 1


def test_methods_differ_without_colour():
    looks = list(style.ADAPTERS.values())
    assert len({str(look.line) for look in looks}) == len(looks)
    assert len({look.marker for look in looks}) == len(looks)


def test_every_table_is_written(built: Section, tmp_path: Path):
    document.write_tables([built], tmp_path / "tables")
    assert len(list((tmp_path / "tables").glob("*.tex"))) == 14
    assert r"$\beta$" in (tmp_path / "tables" / "uq4ct_table2_beta.tex").read_text()
