"""Figures: the same bytes every time, nothing cut off, nothing empty, gaps said."""

import itertools
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from peftuq.report.adue import pictures
from peftuq.report.figures import aurocs, coverage, ranks, reliability, style
from peftuq.report.parts import Picture
from peftuq.report.run import Run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def drawn(fabricated: dict[str, str]) -> list[Picture]:
    run = Run.read(**fabricated)
    parts = (pictures.ranks_figures, pictures.aurocs_figures, pictures.reliability_figures, pictures.coverage_figures)
    return [picture for draw in parts for picture in draw(run, run.settings("adue"))]


def texts(figure):
    """The visible texts of a drawn figure with their boxes, in pixels."""
    with matplotlib.rc_context(style.STYLE):
        renderer = FigureCanvasAgg(figure).get_renderer()
        figure.draw(renderer)
    hidden = {id(label) for axes in figure.axes for label in _outside(axes)}
    found = [t for t in figure.findobj(matplotlib.text.Text) if t.get_visible() and id(t) not in hidden]
    return [(t.get_text(), t.get_window_extent(renderer)) for t in found if t.get_text().strip()]


def _outside(axes):
    """Tick labels beyond an axis' limits, or switched off: they exist but are not drawn."""
    for axis in (axes.xaxis, axes.yaxis):
        low, high = sorted(axis.get_view_interval())
        for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
            if not (low - 1e-9 <= tick.get_loc() <= high + 1e-9 and tick.label1.get_visible()):
                yield tick.label1
            yield tick.label2


def check(figure) -> None:
    """No text leaves the figure, no two texts overlap."""
    found = texts(figure)
    width, height = figure.get_size_inches() * figure.dpi
    for text, box in found:
        assert box.x0 > -1, text
        assert box.y0 > -1, text
        assert box.x1 < width + 1, text
        assert box.y1 < height + 1, text
    for (a, one), (b, other) in itertools.combinations(found, 2):
        overlap = (
            min(one.x1, other.x1) - max(one.x0, other.x0) > 1 and min(one.y1, other.y1) - max(one.y0, other.y0) > 1
        )
        assert not overlap, (a, b)


def test_every_subject_has_its_picture(drawn: list[Picture]):
    assert [p.name for p in drawn] == ["adue_ranks", "adue_auroc", "adue_reliability", "adue_risk_coverage"]


def test_nothing_is_cut_off_and_nothing_overlaps(drawn: list[Picture]):
    for picture in drawn:
        check(picture.figure)


@pytest.mark.parametrize("n", [1, 2, 4])
def test_panels_of_any_number_fit(n: int):
    rng = np.random.default_rng(0)
    titles = [f"SmolLM2-135M-Instruct\nsnippets{i}_choice" for i in range(n)]
    names = ["RMD (L2)", "MD (L2)", "RDE (L2)", "SR", "AdUE"]
    variants = ["rmd_l2", "md_l2", "rde_l2", "sr", "adue"]
    runs = [(rng.random(50), rng.random(50) < 0.3) for _ in range(2)]
    curves = [coverage.Curve(v, name, runs) for v, name in zip(variants, names, strict=True)]
    check(coverage.draw([coverage.Panel(title, curves, ("adue",)) for title in titles]))
    confidences = [reliability.Confidence(v, v, rng.random(50), rng.random(50) < 0.5) for v in ("sr", "adue")]
    check(reliability.draw([reliability.Diagram(title, confidences) for title in titles]))
    dots = [aurocs.Dots(title, names, [[55.0, 60.0]] * 4 + [[]], [70.0] * 5) for title in titles]
    check(aurocs.draw(dots))
    if n <= 2:
        check(ranks.draw([ranks.Ranked(title, names, [1.0, 2, 3, 4, 5], None) for title in titles]))


@pytest.mark.parametrize("n", [1, 2, 4])
def test_titles_of_three_lines_and_many_further_scores_fit(n: int):
    rng = np.random.default_rng(0)
    titles = ["SmolLM2-135M-Instruct,\nlora_choice_demo\nsnippets2_choice"] * n
    names = ["sr", "adue", *(f"nearest_neighbours_{k} (ensemble-5)" for k in range(6))]
    runs = [(rng.random(50), rng.random(50) < 0.3) for _ in range(2)]
    check(coverage.draw([coverage.Panel(t, [coverage.Curve(v, v, runs) for v in names], ("adue",)) for t in titles]))
    confidences = [reliability.Confidence(v, v, rng.random(50), rng.random(50) < 0.5) for v in names]
    check(reliability.draw([reliability.Diagram(title, confidences) for title in titles]))


def test_the_same_figure_gives_the_same_bytes(fabricated: dict[str, str], tmp_path: Path):
    for name in ("first", "second"):
        run = Run.read(**fabricated)
        (found,) = pictures.coverage_figures(run, run.settings("adue")[:1])
        style.save(found.figure, tmp_path, name)
    for ending in ("pdf", "png"):
        assert (tmp_path / f"first.{ending}").read_bytes() == (tmp_path / f"second.{ending}").read_bytes()


def test_pages_hold_all_panels_in_order():
    found = list(style.pages(list(range(20)), 9))
    assert [suffix for suffix, _, _ in found] == ["_1", "_2", "_3"]
    assert [part for _, part, _ in found] == [" (1 of 3)", " (2 of 3)", " (3 of 3)"]
    assert [item for _, _, page in found for item in page] == list(range(20))
    assert list(style.pages([1, 2], 9)) == [("", "", [1, 2])]
    assert list(style.pages([], 9)) == []


def test_methods_differ_without_colour():
    looks = list(style.LOOKS.values())
    assert len({str(look.line) for look in looks}) == len(looks)
    assert len({look.marker for look in looks}) == len(looks)


def test_missing_scores_are_said_not_drawn_empty():
    for figure in (
        reliability.draw([reliability.Diagram("a\nb", [])]),
        coverage.draw([coverage.Panel("a\nb", [], ())]),
    ):
        assert "scores missing" in [text for text, _ in texts(figure)]
    figure = aurocs.draw([aurocs.Dots("a\nb", ["SR", "AdUE"], [[80.0], []], [None, None])])
    assert "no value" in [text for text, _ in texts(figure)]


def test_the_reliability_curve_is_the_bins():
    confidence = np.array([0.05, 0.15, 0.95, 0.95, 0.95, 0.95])
    correct = np.array([False, True, True, True, True, False])
    figure = reliability.draw([reliability.Diagram("t", [reliability.Confidence("sr", "SR", confidence, correct)])])
    upper, lower = figure.axes[1], figure.axes[0]
    curve = next(line for line in upper.lines if line.get_label() == "SR")
    np.testing.assert_allclose(curve.get_xdata(), [0.05, 0.15, 0.95])
    np.testing.assert_allclose(curve.get_ydata(), [0, 1, 0.75])
    (counts,) = [patch.get_data().values for patch in lower.patches]
    np.testing.assert_array_equal(counts, [1, 1, 0, 0, 0, 0, 0, 0, 0, 4])


def test_the_risk_curve_ends_at_the_error_rate():
    runs = [(np.arange(40.0), np.arange(40) >= 30), (np.arange(40.0), np.arange(40) >= 20)]
    x, mean, spread = coverage._over_seeds(runs)
    assert (x[0], x[-1]) == (5, 100)
    assert mean[-1] == pytest.approx(37.5)
    assert spread[-1] == pytest.approx(np.std([25, 50], ddof=1))
    assert mean[0] == 0
