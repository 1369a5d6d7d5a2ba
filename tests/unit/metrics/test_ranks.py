import csv
from importlib.resources import files

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata

from peftuq.errors import UserError
from peftuq.metrics.ranks import average_ranks

ABLATION = [
    "AdUE (Ours)",
    "Loss: BCE",
    "Loss: BCE+L2SP",
    "Loss: BCE+reg",
    "Full loss: rand cls",
    "Full loss: random linear",
]
ALL = ["RMD", "RMD L2 norm", "MD", "MD L2 norm", "RDE", "RDE L2 norm", "SR", "AdUE (Ours)"]
MAIN = [
    "RMD L2 norm",
    "MD L2 norm",
    "RDE L2 norm",
    "SR",
    "AdUE (Ours)",
]  # Table 1 shows these, as RMD, MD, RDE
# The paper's Rank columns: printed table, the tables that hold its values, methods, printed ranks.
PRINTED = [
    ("Table 3", ["Table 3"], ABLATION, [2.3, 3.5, 3.1, 2.7, 3.9, 5.5]),
    ("Table 4", ["Table 4"], ABLATION, [2.3, 2.4, 2.4, 3.1, 5.6, 5.2]),
    ("Table 7", ["Table 7"], ALL, [4.8, 4.8, 6.2, 3.8, 6.9, 5.5, 2.5, 1.5]),
    ("Table 8", ["Table 8"], ALL, [3.4, 3.6, 6.3, 6.0, 7.0, 6.7, 2.0, 1.0]),
    ("Table 1, encoders", ["Table 7"], MAIN, [3.7, 3.2, 4.2, 2.4, 1.5]),
    ("Table 1, decoders", ["Table 8"], MAIN, [3.0, 4.3, 4.7, 2.0, 1.0]),
    ("Table 2", ["Table 3", "Table 4"], ABLATION, [2.3, 2.95, 2.75, 2.9, 4.75, 5.35]),
]


def printed_aurocs(tables, methods):
    """The paper's own AUROCs: method -> (model, dataset) -> mean x 100, one decimal."""
    with (files("peftuq.report") / "reference" / "adue_auroc.csv").open() as lines:
        rows = [row for row in csv.DictReader(lines) if row["table"] in tables]
    return {
        method: {(r["model"], r["dataset"]): float(r["mean"]) for r in rows if r["method"] == method}
        for method in methods
    }


@pytest.mark.parametrize(("table", "sources", "methods", "ranks"), PRINTED, ids=[row[0] for row in PRINTED])
def test_ranks_of_the_printed_aurocs_are_the_printed_ranks(table, sources, methods, ranks):
    # The paper ranks values that it does not round; the printed ones tie more often. Hence the tolerance.
    found = average_ranks(printed_aurocs(sources, methods))
    assert len(found.cells) == 10 * len(sources) and not found.left_out
    for method, printed in zip(methods, ranks, strict=True):
        ours = found.mean[method]
        print(f"{table:18} {method:26} printed {printed:5.2f}  ours {ours:5.2f}  {ours - printed:+.2f}")
        assert ours == pytest.approx(printed, abs=0.3 + 1e-9)


def test_a_hand_made_cell_with_ties():
    values = {"a": {"x": 0.9}, "b": {"x": 0.8}, "c": {"x": 0.9}, "d": {"x": 0.1}}
    assert average_ranks(values).cells["x"] == {"a": 1.5, "b": 3.0, "c": 1.5, "d": 4.0}
    assert average_ranks(values, better="lower").cells["x"] == {"a": 3.5, "b": 2.0, "c": 3.5, "d": 1.0}


@settings(deadline=None)
@given(
    st.integers(1, 6).flatmap(
        lambda n: st.lists(st.lists(st.integers(0, 3), min_size=n, max_size=n), min_size=1, max_size=5)
    )
)
def test_ranks_equal_scipy(table):
    table = np.array(table, dtype=float)  # cells x methods
    values = {f"m{m}": dict(enumerate(column)) for m, column in enumerate(table.T.tolist())}
    for better, sign in (("higher", -1), ("lower", 1)):
        theirs = rankdata(sign * table, axis=1)
        found = average_ranks(values, better)
        assert [list(row.values()) for row in found.cells.values()] == theirs.tolist()
        assert np.allclose(list(found.mean.values()), theirs.mean(axis=0))
        assert sum(found.mean.values()) == pytest.approx(table.shape[1] * (table.shape[1] + 1) / 2)


@pytest.mark.parametrize("missing", [{}, {"y": None}, {"y": float("nan")}])
def test_only_cells_that_every_method_has_are_ranked_and_the_others_are_named(missing):
    values = {"a": {"x": 0.9, "y": 0.9}, "b": {"x": 0.8} | missing, "c": {"x": 0.7, "y": 0.1}}
    found = average_ranks(values)
    assert found.left_out == ["y"]
    assert list(found.cells) == ["x"]
    assert found.mean == {"a": 1.0, "b": 2.0, "c": 3.0}


def test_no_common_cell_is_a_mistake_with_a_remedy():
    with pytest.raises(UserError, match=r"none of 2 cells .*\(a, b\); leave out a method or run"):
        average_ranks({"a": {"x": 0.9}, "b": {"y": 0.8}})
