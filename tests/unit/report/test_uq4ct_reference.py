"""The UQ4CT paper's numbers: all of them, each in its place in a rebuilt table when its cell has been run."""

from collections.abc import Iterator

import fabricate_uq4ct as made
import pytest

from peftuq.report import reference
from peftuq.report.run import Run
from peftuq.report.tables import Entry, Table
from peftuq.report.uq4ct import ablations, paper
from peftuq.report.uq4ct.recipes import tasks

TITLES = {  # the paper's method → the row that it must stand in
    "LoRA": "LoRA",
    "MC Drop": "MC dropout of 10",
    "Ensemble": "Ensemble of 8",
    "LA": "Laplace-LoRA",
    "MixLoRA": "MixLoRA",
    "UQ4CT": "UQ4CT",
    "UQ4CT_Incremental": "UQ4CT, growing β",
    "SPUQ": "SPUQ, untuned model",
}
METRICS = {"accuracy": "Accuracy, %", "ece": "ECE (15 bins), %"}
SWEPT = {"Table 2": ("UQ4CT beta=", "β"), "Table 5": ("UQ4CT top-k=", "K")}


def tables_of(run: Run) -> dict[str, Table]:
    found = tasks(run, run.settings("uq4ct"))
    return {
        "Table 1": paper.SHIFTS(run, found),
        "Table 2": ablations.BETA(run, found),
        "Table 3": paper.INCREMENTAL(run, found),
        "Table 4": paper.IN_DISTRIBUTION_TABLE(run, found),
        "Table 5": ablations.TOP_K(run, found),
        "Table 6": paper.SPUQ(run, found),
    }


@pytest.fixture(scope="module")
def run() -> Run:
    return Run(*made.paper_run(seeds=2), "nowhere")


@pytest.fixture(scope="module")
def tables(run: Run) -> dict[str, Table]:
    return tables_of(run)


def place(table: Table, heading: str, labels: tuple[str, ...], group: str, label: str) -> Entry:
    """The entry of a row and column, found by their labels as a reader finds it."""
    (row,) = [row for row in table.rows if (row.heading, row.labels) == (heading, labels)]
    (column,) = [i for i, c in enumerate(table.columns) if (c.group, c.label) == (group, label)]
    return row.entries[column]


def three(tables: dict[str, Table], row: dict[str, str]) -> Iterator[Entry]:
    """Ours, the paper's and their difference for a line of the csv."""
    table, model = tables[row["table"]], made.TITLES[made.MODELS[row["model"]]]
    if row["table"] in SWEPT:
        prefix, symbol = SWEPT[row["table"]]
        heading, title = "", f"{symbol} = {row['method'].removeprefix(prefix)}"
        column = (f"{model} on {row['trained']}", {"accuracy": "Accuracy, %", "ece": "ECE, %"}[row["metric"]])
    else:
        heading, title = METRICS[row["metric"]], TITLES[row["method"]]
        trained = f", trained on {row['trained']}" if row["table"] == "Table 1" else ""
        column = (model + trained, row["tested"])
    return (place(table, heading, (title, which), *column) for which in ("ours", "paper", "difference"))


def test_the_file_holds_all_the_papers_numbers():
    rows = made.rows()
    counts = {name: sum(row["table"] == name for row in rows) for name in sorted({row["table"] for row in rows})}
    assert counts == {"Table 1": 84, "Table 2": 18, "Table 3": 20, "Table 4": 60, "Table 5": 10, "Table 6": 20}
    assert len(reference.uq4ct()) == len(rows)  # no two lines name one number


@pytest.mark.parametrize(
    "row", made.rows(), ids=lambda r: "-".join(r[k] for k in ("table", "tested", "method", "metric"))
)
def test_every_number_stands_beside_ours(tables: dict[str, Table], row: dict[str, str]):
    ours, printed, difference = three(tables, row)
    assert printed.value == float(row["mean"])
    assert printed.std == (float(row["std"]) if row["std"] else None)
    assert float(printed.plain.split(" ± ")[0]) == printed.value  # as printed, no digit is lost
    assert ours.value == pytest.approx(made.ours(row))
    assert difference.value == pytest.approx(made.ours(row) - float(row["mean"]))


def test_a_number_is_printed_in_the_boolq_that_it_is_of(run: Run):
    """With its passage BoolQ is another task: there no number of the paper's stands."""
    cells, metrics = made.paper_run(seeds=1)
    for cell in cells["cells"]:
        if cell["dataset"] == "boolq_closed":
            cell["dataset"] = "boolq"
    cells["datasets"]["boolq"] = cells["datasets"]["boolq_closed"]
    table = tables_of(Run(cells, metrics, "nowhere"))["Table 4"]
    columns = [i for i, c in enumerate(table.columns) if c.label == "boolq"]
    assert columns
    assert all(row.entries[i].empty for row in table.rows if row.labels[1] == "paper" for i in columns)


def test_what_was_not_run_is_said_beside_the_papers_number():
    cells, metrics = made.paper_run(seeds=1)
    gone = ("laplace", "spuq-5")
    cells["cells"] = [cell for cell in cells["cells"] if cell["predictive"] not in gone]
    tables = tables_of(Run(cells, metrics, "nowhere"))
    group = "Mistral-7B-v0.1"
    for heading, printed in zip(METRICS.values(), ("82.50 ± 0.77", "6.41 ± 3.22"), strict=True):
        entries = [place(tables["Table 4"], heading, ("LA", which), group, "obqa") for which in ("ours", "paper")]
        assert [entry.plain for entry in entries] == ["not run", printed]
    spuq = place(tables["Table 6"], METRICS["accuracy"], ("SPUQ", "paper"), "LLaMA-2-7B", "obqa")
    assert spuq.plain == "59.00"


def test_a_missing_number_is_marked():
    cells, metrics = made.paper_run(seeds=2)
    keep = [i for i, recipe in enumerate(metrics["recipe"]) if recipe != "r4"]
    metrics = {name: [column[i] for i in keep] for name, column in metrics.items()}
    tables = tables_of(Run(cells, metrics, "nowhere"))
    found = place(tables["Table 4"], METRICS["ece"], ("UQ4CT", "ours"), "Mistral-7B-v0.1", "obqa")
    assert (found.plain, found.note) == ("missing", "seeds 0, 1: not among the run’s metrics")
    assert place(tables["Table 4"], METRICS["ece"], ("UQ4CT", "paper"), "Mistral-7B-v0.1", "obqa").value == 7.92
    column = ("LLaMA-2-7B on obqa", "ECE, %")
    assert place(tables["Table 2"], "", ("β = 1", "ours"), *column).plain == "missing"


def test_the_best_is_lowest_error_and_highest_accuracy(tables: dict[str, Table]):
    table = tables["Table 4"]
    for heading, choose in zip(METRICS.values(), (max, min), strict=True):
        for column in range(len(table.columns)):
            for which in ("ours", "paper"):
                rows = [r for r in table.rows if (r.heading, r.labels[1]) == (heading, which)]
                values = [row.entries[column].value for row in rows]
                best = choose(value for value in values if value is not None)
                assert [row.entries[column].best for row in rows] == [value == best for value in values]
