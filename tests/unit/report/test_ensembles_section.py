"""The section on LoRA ensembles from a folder of results: tables, verdicts, gaps that are seen, a whole document."""

import shutil
from pathlib import Path

import fabricate_ensembles
import numpy as np
import pytest

from peftuq import artifacts, files
from peftuq.cells import Setting
from peftuq.report import document
from peftuq.report.ensembles import findings, predictives, section, traces
from peftuq.report.parts import Section
from peftuq.report.run import Run
from peftuq.report.tables import Entry, Table
from peftuq.report.verdicts import Checked

CSQA = Setting("mistral_7b", "csqa", "lora_map")
WEAK = Setting("mistral_7b", "csqa", "lora_map_lambda.0.1")
UNTRACED = Setting("smollm2", "snippets2_choice", "lora")
RECIPES = {
    "lora_map": fabricate_ensembles.recipe(1.0),
    "lora_map_lambda.0.1": fabricate_ensembles.recipe(0.1),
    "lora": {**fabricate_ensembles.recipe(), "epoch_records": None, "prior": None},
}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("ensembles") / "results"
    return fabricate_ensembles.results(folder, [CSQA, WEAK, UNTRACED], RECIPES, sizes=(1, 2, 4), n=60)


@pytest.fixture
def run(results: dict[str, str]) -> Run:
    return Run.read(**results)


def without(run: Run, **wanted) -> Run:
    """The same run, but rows of the metrics table that match are gone."""
    table = run._metrics
    keep = [i for i in range(len(table["value"])) if not all(table[name][i] == value for name, value in wanted.items())]
    names = ("suites", "cells", "models", "datasets", "recipes", "methods", "limit", "limits")
    kept = {name: [column[i] for i in keep] for name, column in table.items()}
    return Run({name: getattr(run, name) for name in names}, kept, run.paths.results)


def entries(table: Table, setting: str, *labels: str) -> dict[str, Entry]:
    (row,) = [row for row in table.rows if row.heading == setting and row.labels == labels]
    return {column.label: entry for column, entry in zip(table.columns, row.entries, strict=True)}


HEADING = "Mistral-7B, lora_map on csqa"


def test_without_a_suite_that_feeds_it_there_is_no_section(run: Run):
    run.suites["ensembles"]["sections"] = ["adue"]
    assert section.SECTION.build(run, "ensembles") is None


# -- tables -------------------------------------------------------------------------------------------------------


def test_quality_stands_beside_what_the_scores_say_on_average(run: Run):
    table = predictives.QUALITY_TABLE(run, run.settings("ensembles"))
    for on in ("csqa", "mmlu_stem"):
        found = entries(table, HEADING, on, "ensemble, M = 4")
        nll = run.over_seeds(CSQA, "nll", predictive="ensemble-4", on=on).mean
        assert found["NLL"].value == nll
        samples = artifacts.SampleFile(run.paths.samples(*CSQA, 0, "ensemble-4"))["test" if on == "csqa" else on]
        p = samples.mean
        entropy = -(p * np.log(np.where(p > 0, p, 1))).sum(axis=1).mean()
        assert found["Entropy"].value == pytest.approx(entropy)
        assert found["MI"].value == pytest.approx(found["Entropy"].value - found["Expected entropy"].value)
    alone = entries(table, HEADING, "csqa", "one adapter")
    assert alone["MI"].plain == "–"
    assert alone["NLL"].std is not None
    assert entries(table, HEADING, "csqa", "ensemble, M = 4")["NLL"].best
    assert entries(table, HEADING, "mmlu_social", "last 2 epochs")["MI"].value is not None


def test_detection_has_every_information_score(run: Run):
    table = predictives.DETECTION(run, run.settings("ensembles"))
    found = entries(table, HEADING, "mmlu_social", "ensemble, M = 4")
    for variant, title in predictives.SCORES.items():
        over = run.over_seeds(CSQA, "auroc", variant, "ensemble-4", "mmlu_social")
        assert found[title].value == pytest.approx(100 * over.mean)
    assert [e.plain for e in entries(table, HEADING, "csqa", "one adapter").values()][1:] == ["–"] * 3


def test_missing_cells_are_shown_as_missing(run: Run, tmp_path: Path):
    bare = without(run, predictive="ensemble-4", recipe="lora_map")
    found = entries(predictives.QUALITY_TABLE(bare, bare.settings("ensembles")), HEADING, "csqa", "ensemble, M = 4")
    assert (found["NLL"].plain, found["NLL"].note) == ("missing", "seed 0: not among the run’s metrics")
    assert entries(predictives.DETECTION(bare, [CSQA]), "Mistral-7B on csqa", "csqa", "ensemble, M = 4")["MI"].gap
    run.paths = type(run.paths)(str(shutil.copytree(run.paths.results, tmp_path / "results")))
    Path(run.paths.scores(*UNTRACED, 1, "checkpoint_ensemble-2", "information")).unlink()
    table = predictives.QUALITY_TABLE(run, run.settings("ensembles"))
    found = entries(table, "SmolLM2-135M-Instruct, lora on snippets2_choice", "snippets2_choice", "last 2 epochs")
    assert found["MI"].note == "mean over 1 of 2 seeds; seed 1: not among the run’s metrics"


def test_answer_mass_is_each_choice_cells_own(run: Run):
    table = predictives.ANSWER_MASS(run, run.settings("ensembles"))
    rows = {row.labels: row.entries[0] for row in table.rows}
    found = rows["Mistral-7B, lora_map", "csqa", "mmlu_stem"]
    assert found.value == pytest.approx(100 * run.over_seeds(CSQA, "answer_mass", on="mmlu_stem").mean)
    assert len(rows) == 3 + 3 + 2
    for dataset in run.datasets.values():
        dataset["kind"] = "classification"
    assert predictives.ANSWER_MASS(run, run.settings("ensembles")) is None


def test_the_sweep_runs_from_the_weakest_prior_up(run: Run):
    table = predictives.SWEEP(run, run.settings("ensembles"))
    assert [row.labels for row in table.rows] == [
        (title, strength) for title in ("one adapter", "ensemble, M = 4", "last 2 epochs") for strength in ("0.1", "1")
    ]
    assert {row.heading for row in table.rows} == {"Mistral-7B on csqa"}
    mi = run.over_seeds(CSQA, "auroc", "mutual_information", "ensemble-4").mean
    assert table.rows[3].entries[-1].value == pytest.approx(100 * mi)


@pytest.mark.parametrize("changed", [{"prior": None}, {"precision": "fp32"}, {"epoch_records": 5}])
def test_cells_that_differ_in_more_than_the_prior_are_no_sweep(changed: dict, run: Run):
    run.recipes["lora_map_lambda.0.1"] |= changed
    assert predictives.SWEEP(run, run.settings("ensembles")) is None


# -- findings -----------------------------------------------------------------------------------------------------


def test_every_cell_has_a_verdict_on_every_finding(run: Run):
    settings = run.settings("ensembles")
    found = {setting: traces.read(run, setting) or traces.why_none(run, setting) for setting in settings}
    tables = {table.name: table for table in findings.tables(run, settings, findings.judge(found))}
    summary = tables["ensembles_findings"]
    assert [row.labels[0] for row in summary.rows] == [
        HEADING,
        "Mistral-7B, lora_map_lambda.0.1 on csqa",
        "SmolLM2-135M-Instruct, lora on snippets2_choice",
    ]
    assert all(entry.text for row in summary.rows for entry in row.entries)
    verdicts = [entry.text for entry in summary.rows[2].entries]
    assert verdicts == ["cannot be said", "cannot be said", "does not apply", "cannot be said"]
    last = tables["ensembles_finding1"].rows[-1]
    assert (last.labels[0], last.entries[2].text) == ("cannot be said", "its recipe does not record every epoch")
    for number, claim in enumerate(findings.CLAIMS, start=1):
        assert tables[f"ensembles_finding{number}"].caption == claim.rule


def judged(answers: list[str], claim=findings.CLAIMS[1]) -> list[findings.Judged]:
    return [findings.Judged(claim, CSQA, findings.Verdict("csqa", a, f"number {i}")) for i, a in enumerate(answers)]


def test_a_claim_fails_where_one_check_says_so(run: Run):
    def verdict(answers: list[str]) -> Checked:
        return findings.checked(run, [CSQA], judged(answers))[1]

    mixed = verdict(["holds", "holds", "holds", "does not hold", "does not apply"])
    counts = "of 4 checks holds in 3, does not hold in 1; fails on Mistral-7B on csqa"
    assert (mixed.answer, mixed.measured) == ("does not hold", counts)
    assert verdict(["holds", "cannot be said"]).answer == "cannot be said"
    assert verdict(["holds"])[1:] == ("holds", "number 0")
    assert verdict(["does not apply"])[1:] == ("not run", "number 0")


def test_a_cell_that_is_checked_on_several_sets_says_on_how_many(run: Run):
    (summary, *_) = findings.tables(run, [CSQA], judged(["holds", "does not hold", "holds"]))
    assert summary.rows[0].entries[1].text == "holds (2 of 3), does not hold (1 of 3)"


# -- the document ---------------------------------------------------------------------------------------------------


def test_a_lost_trace_is_said_and_the_rest_stands(run: Run, tmp_path: Path):
    run.paths = type(run.paths)(str(tmp_path))
    found = section.SECTION.build(run, "ensembles")
    texts = [item for part in found.items if isinstance(part, Section) for item in part.items if isinstance(item, str)]
    assert any("lora_map on csqa (the trace of its training is missing)" in text for text in texts)
    assert not [item for item in found.all() if not isinstance(item, Table)]
    table = next(item for item in found.all() if item.name == "ensembles_quality")
    assert entries(table, HEADING, "csqa", "ensemble, M = 4")["Entropy"].plain == "missing"


@pytest.mark.slow
def test_the_document_is_set_with_every_figure_and_table(results: dict[str, str], tmp_path: Path):
    pypdf = pytest.importorskip("pypdf")
    cells = files.read_json(results["cells"])
    cells["cells"] = [cell for cell in cells["cells"] if cell["recipe"] != "lora_map_lambda.0.1"]
    run = Run(cells, files.read_columns(results["metrics"]), results["results"])
    content = [section.SECTION.build(run, "ensembles")]
    document.write_figures(content, tmp_path / "figures")
    document.write_tables(content, tmp_path / "tables")
    template = Path(__file__).parents[3] / "reports" / "template.typ"
    document.write_pdf(content, tmp_path / "figures", template, "today", tmp_path / "report.pdf")
    text = " ".join(page.extract_text() for page in pypdf.PdfReader(tmp_path / "report.pdf").pages)
    text = " ".join(text.replace("\N{SOFT HYPHEN}", "").split())
    for expected in (
        "M = 2 against 4; largest gaps",
        "Figure 4.",
        "Answer mass",
        "cannot be said",
    ):
        assert expected in text
    names = {path.stem for path in (tmp_path / "figures").iterdir()}
    assert names == {f"ensembles_{kind}_mistral_7b_csqa_lora_map" for kind in ("plane", "epochs", "sizes", "retained")}
