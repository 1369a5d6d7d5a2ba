"""The papers' numbers: complete, consistent, and each in its place in a rebuilt table when its cell has been run."""

import csv
from pathlib import Path

import fabricate
import pytest

from peftuq.metrics.ranks import average_ranks
from peftuq.report import methods, reference
from peftuq.report.adue import paper
from peftuq.report.run import Run
from peftuq.report.tables import Table

FOLDER = Path(reference.__file__).parent / "reference"
KIND = {"electra": "encoder", "roberta": "encoder", "llama": "decoder", "qwen": "decoder"}
TITLES = {fabricate.PAPER_NAMES[key]: fabricate._MODELS[key][0] for key in fabricate.PAPER_MODELS}
METHODS = {method.paper: method.title for method in [*methods.EVERY, *methods.ABLATIONS]}


def rows(name: str) -> list[dict[str, str]]:
    with open(FOLDER / name, newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def run() -> Run:
    """Every cell of the paper, each seed 7 points above the paper's mean: 2 seeds, 1 point apart."""
    cells = fabricate.paper_cells(seeds=2)
    table = []
    variants = {method.paper: method.variant for method in [*methods.EVERY, *methods.ABLATIONS]}
    keys = {name: key for key, name in fabricate.PAPER_NAMES.items()}
    done = set()
    for row in rows("adue_auroc.csv"):
        cell = (keys[row["model"]], row["dataset"], "point", variants[row["method"]])
        if cell not in done:  # AdUE stands in two tables
            done.add(cell)
            table += [(*cell, seed, "auroc", (float(row["mean"]) + 6.5 + seed) / 100) for seed in (0, 1)]
    for row in rows("adue_accuracy.csv"):
        cell = (keys[row["model"]], row["dataset"], "point", "prediction")
        table += [(*cell, seed, "accuracy", (float(row["mean"]) - 2.5 + seed) / 100) for seed in (0, 1)]
    return Run(cells, fabricate.long_table(table), "nowhere")


@pytest.fixture(scope="module")
def tables(run: Run) -> dict[str, Table]:
    found = (make(run, run.settings("adue")) for make in (*paper.TABLES, *paper.EVERY_SCORE))
    return {table.name: table for table in found if table is not None}


def place(table: Table, labels: tuple[str, ...], group: str, label: str):
    """The entry of a row and column, found by their labels as a reader finds it."""
    (row,) = [row for row in table.rows if row.labels == labels]
    (column,) = [i for i, c in enumerate(table.columns) if (c.group, c.label) == (group, label)]
    return row.entries[column]


def test_the_files_hold_all_the_papers_numbers():
    counts = {
        number: sum(row["table"] == f"Table {number}" for row in rows("adue_auroc.csv")) for number in (3, 4, 7, 8)
    }
    assert counts == {3: 60, 4: 60, 7: 80, 8: 80}
    assert len(rows("adue_accuracy.csv")) == 20
    # AdUE's own row stands in two tables of the paper: look-ups by cell are only right if they agree.
    assert len(reference.adue_auroc()) == 280 - 20
    for row in rows("adue_auroc.csv"):
        found = reference.adue_auroc()[row["model"], row["dataset"], row["method"]]
        assert found == (float(row["mean"]), float(row["std"]))


@pytest.mark.parametrize("row", rows("adue_auroc.csv"), ids=lambda row: "-".join(list(row.values())[:4]))
def test_every_auroc_finds_its_place(tables: dict[str, Table], row: dict[str, str]):
    (name,) = [name for name in tables if name.startswith(f"adue_table{row['table'][-1]}_")]
    title, group = METHODS[row["method"]], TITLES[row["model"]]
    mean = float(row["mean"])
    assert place(tables[name], (title, "paper"), group, row["dataset"]).plain == f"{mean:.1f} ± {float(row['std']):.1f}"
    ours = place(tables[name], (title, "ours"), group, row["dataset"])
    assert ours.plain == f"{mean + 7:.1f} ± 0.7"
    assert ours.std == pytest.approx(0.5**0.5)  # ddof = 1
    assert place(tables[name], (title, "difference"), group, row["dataset"]).plain == "+7.0"


@pytest.mark.parametrize("method", methods.HEADLINE, ids=lambda method: method.variant)
def test_table_1_holds_the_normalised_variants(tables: dict[str, Table], method):
    for (model, dataset, name), printed in reference.adue_auroc().items():
        if name == method.paper:
            found = place(tables["adue_table1_error_auroc"], (method.title, "paper"), TITLES[model], dataset)
            assert (found.value, found.std) == printed


def test_every_accuracy_finds_its_place(tables: dict[str, Table]):
    table = tables["adue_table6_accuracy"]
    for row in rows("adue_accuracy.csv"):
        mean, title = float(row["mean"]), TITLES[row["model"]]
        assert place(table, (title, "paper"), "", row["dataset"]).plain == f"{mean:.1f} ± {float(row['std']):.1f}"
        assert place(table, (title, "ours"), "", row["dataset"]).plain == f"{mean - 2:.1f} ± 0.7"
        assert place(table, (title, "difference"), "", row["dataset"]).plain == "−2.0"


def test_every_printed_rank_finds_its_place(tables: dict[str, Table]):
    for row in rows("adue_ranks.csv"):
        (name,) = [name for name in tables if name.startswith(f"adue_table{row['table'][-1]}_")]
        group = {"encoder": "Encoders", "decoder": "Generative models", "all": ""}[row["kind"]]
        title = METHODS[row["method"]]
        found = [r for r in tables[name].rows if r.labels[0] == title and r.labels[1:] in ((), ("ours",))]
        column = [(c.group, c.label) for c in tables[name].columns].index((group, "Paper’s rank"))
        assert found[0].entries[column].value == float(row["rank"])


@pytest.mark.parametrize(
    ("table", "kind", "wanted"),
    [
        ("Table 1", "encoder", methods.HEADLINE),
        ("Table 1", "decoder", methods.HEADLINE),
        ("Table 2", "all", methods.ABLATIONS),
        ("Table 3", "encoder", methods.ABLATIONS),
        ("Table 4", "decoder", methods.ABLATIONS),
        ("Table 7", "encoder", methods.EVERY),
        ("Table 8", "decoder", methods.EVERY),
    ],
)
def test_the_printed_ranks_follow_from_the_printed_means(table: str, kind: str, wanted):
    """To the ties that rounding to one decimal makes: a slip of the pen in either file would be larger."""
    values = {
        method.paper: {
            (model, dataset): printed.mean
            for (model, dataset, name), printed in reference.adue_auroc().items()
            if name == method.paper and kind in ("all", KIND[model])
        }
        for method in wanted
    }
    found = average_ranks(values).mean
    for method in wanted:
        assert found[method.paper] == pytest.approx(reference.adue_ranks()[table, kind, method.paper], abs=0.3)
