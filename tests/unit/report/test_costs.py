"""Costs against what the made-up jobs took: counts, sums over members, ratios to plain LoRA, and fronts."""

import csv
import io
from pathlib import Path

import fabricate_costs
import numpy as np
import pytest

from peftuq.report import formats
from peftuq.report.costs import pictures
from peftuq.report.costs.groups import Method, groups
from peftuq.report.costs.section import SECTION
from peftuq.report.figures.pareto import Point, front
from peftuq.report.parts import Section
from peftuq.report.run import Run
from peftuq.report.tables import Table


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return fabricate_costs.run(tmp_path_factory.mktemp("costs"))


@pytest.fixture(scope="module")
def section(run: Run) -> Section:
    found = SECTION.build(run, "costs")
    assert found is not None
    return found


def rows(section: Section, name: str) -> dict[str, dict[str, str]]:
    table = next(item for item in section.all() if isinstance(item, Table) and item.name == name)
    return {row[table.stub[0]]: row for row in csv.DictReader(io.StringIO(formats.to_csv(table)))}


@pytest.mark.parametrize(
    ("method", "parameters", "beyond", "passes", "training", "model", "records"),
    [
        ("lora", 1000, 0, 1, 20, 5, 0),
        ("lora, temperature", 1000, 0, 1, 20, 5, 0.1),
        ("lora, ensemble-3", 3000, 2000, 3, 60, 15, 0.1),
        ("lora, checkpoint ensemble-2", 1000, 0, 2, 20, 10, 0.1),  # one training
        ("lora, laplace", 1000, 0, 1, 20, 40, 0.2),
        ("lora_dropout, mc dropout-10", 1000, 0, 10, 22, 20, 0),
        ("blob, posterior samples-5", 1500, 500, 5, 50, 10, 0),
    ],
)
def test_costs_of_a_source_of_probabilities(section, method, parameters, beyond, passes, training, model, records):
    row = rows(section, "costs")[method]
    counted = [float(row[f"Counted / {name}"]) for name in ("parameters", "beyond LoRA", "passes")]
    assert counted == [parameters, beyond, passes]
    measured = [row["Training / s"], *(row[f"Test, ms an example / {name}"] for name in ("model", "records"))]
    assert list(map(float, measured)) == pytest.approx([training, model, records])
    assert float(row["Training / ×"]) == pytest.approx(training / 20)
    assert float(row["Test, ms an example / ×"]) == pytest.approx(model / 5)


def test_memory_is_the_largest_of_the_jobs(section):
    found = rows(section, "costs")
    assert float(found["lora"]["Peak memory, MiB / training"]) == 902  # of three seeds
    assert float(found["lora"]["Peak memory, MiB / test"]) == 300
    assert float(found["lora_dropout, mc dropout-10"]["Peak memory, MiB / test"]) == 400


def test_a_score_adds_its_own_time(run, section):
    found = rows(section, "costs_scores")
    assert float(found["AdUE"]["Test, ms an example / fit and score"]) == pytest.approx(30)
    (group,) = groups(run, run.settings("costs"))
    assert group.test(Method("lora", "point", "adue")) == pytest.approx(5 + 30)
    assert group.test(Method("lora", "ensemble-3", "sr")) == pytest.approx(15 + 0.1 + 0.01)


def test_a_job_that_noted_nothing_is_missing_with_its_reason(tmp_path: Path):
    run = fabricate_costs.run(tmp_path, seeds=1)
    Path(run.paths.facts(run.paths.records("smollm2", "d", "lora", 0))).unlink()
    section = SECTION.build(run, "costs")
    assert section is not None
    found = rows(section, "costs")
    assert found["lora"]["Test, ms an example / model"] == "missing"
    assert found["blob"]["Test, ms an example / ×"] == "–"


def test_a_front_is_all_that_nothing_dominates():
    rng = np.random.default_rng(0)
    points = [Point(str(i), "", float(c), float(q)) for i, (c, q) in enumerate(rng.integers(1, 9, (40, 2)))]
    for better, sign in (("higher", 1), ("lower", -1)):

        def dominated(one: Point, sign: int = sign) -> bool:
            as_good = [o for o in points if o.cost <= one.cost and sign * o.quality >= sign * one.quality]
            return any(o.cost < one.cost or sign * o.quality > sign * one.quality for o in as_good)

        best = {(p.cost, p.quality) for p in points if not dominated(p)}
        found = front(points, better)
        assert [(p.cost, p.quality) for p in found] == sorted(best)


def test_the_figure_and_the_first_page_name_the_front(run, section):
    (group,) = groups(run, run.settings("costs"))
    auroc = pictures.panel(group, pictures.QUALITIES[0], pictures.AXES[1])
    # An ensemble has seed 0 alone, whose value is a hundredth lower.
    assert [(p.title, round(p.quality, 1)) for p in front(auroc.points, "higher")] == [
        ("lora, SR", 70),
        ("blob, posterior samples-5, SR", 74),
        ("lora, ensemble-3, SR", 77),
    ]
    assert "blob, posterior samples-5, SR (74.0 at 2 times the cost)" in section.questions[0].answers[0]
    training = pictures.panel(group, pictures.QUALITIES[1], pictures.AXES[0])
    assert "untuned" not in {p.title for p in training.points}  # nothing was trained
