"""Entries, blocks and printed rows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peftuq.report.run import OverSeeds
from peftuq.report.tables import (
    NOT_REQUESTED,
    Column,
    Entry,
    Row,
    Table,
    groups,
    in_blocks,
    mark_best,
    measured,
    printed_rows,
)


@pytest.mark.parametrize(
    ("entry", "printed"),
    [
        (Entry(value=79.44, std=1.26), "79.4 ± 1.3"),
        (Entry(value=79.44), "79.4"),
        (Entry(value=-0.04, signed=True), "0.0"),
        (Entry(value=0.0, signed=True), "0.0"),
        (Entry(value=-3.96, signed=True), "−4.0"),
        (Entry(value=3.96, signed=True), "+4.0"),
        (Entry(value=-0.071, decimals=3), "−0.071"),
        (Entry(value=1.2, interval=(-0.31, 2.7), signed=True), "+1.2 [−0.3, +2.7]"),
        (Entry("missing"), "missing"),
    ],
)
def test_plain(entry: Entry, printed: str):
    assert entry.plain == printed


def test_measured_marks_what_is_not_there():
    assert measured(OverSeeds()).plain == NOT_REQUESTED
    assert not measured(OverSeeds()).gap
    missing = measured(OverSeeds(missing=[0, 1]))
    assert (missing.plain, missing.gap, missing.note) == ("missing", True, "seeds 0, 1: not among the run’s metrics")
    undefined = measured(OverSeeds(undefined=[0], reason="all right"))
    assert (undefined.plain, undefined.gap, undefined.note) == ("undefined", True, "seed 0: undefined (all right)")
    part = measured(OverSeeds({0: 0.5, 1: 0.6}, missing=[2]), 100)
    assert part.plain == "55.0 ± 7.1"
    assert part.note.startswith("mean over 2 of 3 seeds")


def test_best_is_every_tied_value_and_none_alone():
    entries = [Entry(value=1.0), Entry(value=2.0), Entry("missing"), Entry(value=2.0)]
    assert [e.best for e in mark_best(entries, "higher")] == [False, True, False, True]
    assert [e.best for e in mark_best(entries, "lower")] == [True, False, False, False]
    assert not any(e.best for e in mark_best(entries, "nominal"))
    assert not any(e.best for e in mark_best([Entry(value=1.0), Entry("missing")], "higher"))


def columns(*groups_: tuple[str, int]) -> list[Column]:
    return [Column(f"{name}{i}", name) for name, n in groups_ for i in range(n)]


def test_runs_that_fit_share_a_block_and_others_begin_their_own():
    a, b = columns(("a", 3)), columns(("b", 3))
    assert [c.block for c in in_blocks([a, b], widest=6)] == [0] * 6
    assert [c.block for c in in_blocks([a, b], widest=5)] == [0, 0, 0, 1, 1, 1]


def test_groups_are_kept_whole_where_they_fit():
    cut = in_blocks([columns(("a", 3), ("b", 3), ("c", 2))], widest=5)
    assert [c.block for c in cut] == [0, 0, 0, 1, 1, 1, 1, 1]
    assert [c.block for c in in_blocks([columns(("a", 7))], widest=3)] == [0, 0, 0, 1, 1, 1, 2]


@given(st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=4), min_size=1, max_size=3))
def test_no_block_is_too_wide_and_no_column_lost(sizes: list[list[int]]):
    runs = [columns(*((f"{r}-{g}", n) for g, n in enumerate(run))) for r, run in enumerate(sizes)]
    placed = in_blocks(runs, widest=7)
    assert [(c.group, c.label) for c in placed] == [(c.group, c.label) for run in runs for c in run]
    blocks = [c.block for c in placed]
    assert blocks == sorted(blocks)
    assert max(blocks.count(block) for block in blocks) <= 7


def test_blocks_leave_out_their_empty_rows():
    rows = (Row(("x", "ours"), (Entry("1"), Entry("2"))), Row(("x", "paper"), (Entry(), Entry("3"))))
    table = Table("t", "", "", ("M", ""), (Column("a"), Column("b", block=1)), rows)
    first, second = table.blocks()
    assert [row.labels for row in first.rows] == [("x", "ours")]
    assert [row.labels for row in second.rows] == [("x", "ours"), ("x", "paper")]


def test_footnotes_are_lettered_by_their_first_mark_and_shared():
    notes = [f"n{i}" for i in range(28)]
    rows = tuple(Row((note,), (Entry("missing", note=note), Entry("missing", note="n0"))) for note in notes)
    table = Table("t", "", "", ("M",), (Column("a"), Column("b")), rows)
    assert [table.mark(note) for note in ("n0", "n1", "n25", "n26", "n27")] == ["a", "b", "z", "aa", "ab"]
    assert table.mark("") == ""
    assert len(table.notes) == 28


def test_repeated_labels_are_blank_and_groups_ruled():
    rows = [
        Row(("a", "x", "1"), ()),
        Row(("a", "x", "2"), ()),
        Row(("a", "y", "2"), ()),
        Row(("b", "y", "2"), ()),
    ]
    printed = printed_rows(Table("t", "", "", ("A", "B", "C"), (), tuple(rows)))
    assert [row.labels for row in printed] == [("a", "x", "1"), ("", "", "2"), ("", "y", "2"), ("b", "y", "2")]
    assert [row.rule for row in printed] == [True, False, False, True]


def test_a_heading_is_printed_once_and_labels_again_below_the_next():
    rows = [Row(("SR",), (), "cell 1"), Row(("AdUE",), (), "cell 1"), Row(("AdUE",), (), "cell 2")]
    printed = printed_rows(Table("t", "", "", ("Score",), (), tuple(rows), "Cell"))
    assert [row.heading for row in printed] == ["cell 1", "", "cell 2"]
    assert [row.labels for row in printed] == [("SR",), ("AdUE",), ("AdUE",)]
    assert [row.rule for row in printed] == [True, False, True]


def test_rows_of_one_label_are_no_group():
    printed = printed_rows(Table("t", "", "", ("M",), (), (Row(("a",), ()), Row(("b",), ()))))
    assert [row.rule for row in printed] == [False, False]


def test_groups_span_neighbours_only():
    table = Table("t", "", "", (), tuple(columns(("a", 2), ("", 1), ("a", 1))), ())
    assert groups(table) == [("a", 2), ("", 1), ("a", 1)]
    assert groups(Table("t", "", "", (), (Column("x"),), ())) == []
