"""The ensembles' figures: with one epoch or ten, one set or seven, nothing overlaps and nothing is left empty."""

from pathlib import Path

import fabricate_ensembles
import matplotlib
import numpy as np
import pytest
from matplotlib.colors import LogNorm
from test_figures import check, texts

from peftuq.cells import Setting
from peftuq.report.ensembles import pictures
from peftuq.report.ensembles.traces import Trace
from peftuq.report.figures import epochs, plane, retained, sizes, style
from peftuq.report.parts import Picture

pytestmark = pytest.mark.slow

SETTING = Setting("mistral_7b", "csqa", "lora_map.0.1")
OBQA = ("train", "valid", "test", "arc_easy", "arc_challenge", "mmlu_cs", "mmlu_eng", "mmlu_law", "mmlu_health")


def draw(folder: Path, sizes_: list[int], epochs_: int, **more) -> tuple[Trace, list[Picture]]:
    trace = fabricate_ensembles.a_trace(folder, sizes_, epochs_, n=40, **more)
    return trace, pictures.pictures(SETTING, trace, "Mistral-7B on csqa")


@pytest.mark.parametrize(
    ("sizes_", "epochs_", "parts", "count"),
    [
        ([1, 2], 1, ("train", "valid", "test"), 4),
        ([1, 2, 3], 3, tuple(fabricate_ensembles.PARTS), 4),
        ([1, 3, 5], 10, ("train", "valid", "test", "mmlu_stem"), 4),
        pytest.param([1, 2], 2, OBQA, 6, marks=pytest.mark.slow),
    ],
    ids=["one epoch", "three", "ten", "seven sets"],
)
def test_every_figure_is_there_and_nothing_overlaps(sizes_, epochs_, parts, count, tmp_path: Path):
    _, drawn = draw(tmp_path, sizes_, epochs_, parts=parts)
    assert len({picture.name for picture in drawn}) == len(drawn) == count
    for picture in drawn:
        assert "." not in picture.name
        assert picture.figure.get_figwidth() <= style.WIDTH + 1e-9
        assert picture.figure.get_figheight() < 8.2  # a page, with room for the caption
        check(picture.figure)


def test_the_same_trace_gives_the_same_bytes(tmp_path: Path):
    trace = fabricate_ensembles.a_trace(tmp_path, [1, 2], 1, parts=("valid", "test"), n=40)
    for name in ("first", "second"):
        (picture,) = pictures._planes(trace, "Mistral-7B on csqa", "a")
        style.save(picture.figure, tmp_path, name)
    for ending in ("pdf", "png"):
        assert (tmp_path / f"first.{ending}").read_bytes() == (tmp_path / f"second.{ending}").read_bytes()


# -- the plane --------------------------------------------------------------------------------------------------


def clouds(n: int, entropy=0.6, information=0.3) -> plane.Cloud:
    return plane.Cloud(np.full(n, entropy), np.full(n, information))


def test_every_answer_is_counted_once_on_one_scale_of_colours():
    pairs = [(clouds(30), clouds(7, np.log(4) + 1e-12, 0.0)), (clouds(500), clouds(1))]
    figure = plane.draw(["epoch 1", "epoch 2"], [plane.EvaluationSet("a", 4, pairs)], 5)
    meshes = [mesh for ax in figure.axes for mesh in ax.collections if hasattr(mesh, "get_coordinates")]
    meshes = [mesh for mesh in meshes if isinstance(mesh.norm, LogNorm) and mesh.get_array().ndim == 2][:4]
    assert [int(mesh.get_array().sum()) for mesh in meshes] == [30, 7, 500, 1]
    assert {(mesh.norm.vmin, mesh.norm.vmax) for mesh in meshes} == {(1, 500)}
    limits = {(ax.get_xlim(), ax.get_ylim()) for ax in figure.axes[:4]}
    assert len(limits) == 1


def test_no_wrong_answers_are_said():
    figure = plane.draw(["epoch 1"], [plane.EvaluationSet("a", 2, [(clouds(30), clouds(0))])], 3)
    assert "none" in [text for text, _ in texts(figure)]
    check(figure)


def test_a_plane_without_any_information_still_has_axes():
    figure = plane.draw(["epoch 1"], [plane.EvaluationSet("a", 5, [(clouds(3, 0.0, 0.0), clouds(0))])], 1)
    assert figure.axes[0].get_ylim()[1] > plane.HIGH_INFORMATION * np.log(5)
    check(figure)


@pytest.mark.parametrize(("members", "options", "seen"), [(5, 4, 0.1), (2, 5, 0.69), (5, 5, 1.6), (2, 4, 0.3)])
def test_the_axes_hold_the_data_and_never_more_than_is_possible(members: int, options: int, seen: float):
    place = plane.EvaluationSet("a", options, [(clouds(3, 1.0, seen), clouds(0))])
    x, y = plane._limits([place], members)
    assert x == pytest.approx(np.log(options))
    assert seen <= y <= max(seen, np.log(min(members, options))) + 1e-12
    assert y > plane.HIGH_INFORMATION * np.log(options)  # all three regimes are seen


def test_more_answers_are_darker_in_grey():
    colours = plane._colours()(np.linspace(0, 1, 50))[:, :3]
    luminance = colours @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(luminance) < 0).all()
    assert luminance[0] < 0.87  # seen on white
    assert luminance[-1] < 0.15


# -- curves, sizes, filters ---------------------------------------------------------------------------------------


def test_a_curve_is_the_mean_of_the_disjoint_ensembles_and_its_band_reaches_all(tmp_path: Path):
    trace, drawn = draw(tmp_path, [1, 2], 3, parts=("valid", "test"))
    figure = next(p.figure for p in drawn if p.name.startswith("ensembles_epochs"))
    ax = next(ax for ax in figure.axes if ax.get_title(loc="left") == "csqa, test")  # of the first row: NLL
    line = next(line for line in ax.lines if line.get_label() == "M = 1")
    values = np.array([trace.ensembles("nll", "test", epoch, 1) for epoch in (1, 2, 3)])
    np.testing.assert_allclose(line.get_ydata(), values.mean(axis=1))
    band = ax.collections[0].get_paths()[0].vertices[:, 1]
    assert (band.min(), band.max()) == (pytest.approx(values.min()), pytest.approx(values.max()))


def test_one_member_has_no_mutual_information_to_draw(tmp_path: Path):
    trace, _ = draw(tmp_path, [1, 2], 1, parts=("valid", "test"))
    assert [curve.size for curve in pictures._of_sizes(trace, "mutual_information", "test", 1)] == [2]
    assert [curve.size for curve in pictures._of_sizes(trace, "entropy", "test", 1)] == [1, 2]
    figure = sizes.draw([sizes.Panel("MI", [])])
    assert "needs two members" in [text for text, _ in texts(figure)]


def test_filtering_ends_at_the_accuracy_of_all_and_keeps_the_least_uncertain():
    correct = np.arange(100) < 70
    panel = retained.Panel(
        "a", [retained.Filter("by x", np.arange(100.0)), retained.Filter("y", np.zeros(100))], correct
    )
    ax = retained.draw([panel]).axes[0]
    lines = {line.get_label(): line for line in ax.lines}
    kept, accuracy = lines["by x"].get_data()
    assert (kept[-1], accuracy[-1]) == (100, pytest.approx(70))
    assert accuracy[kept <= 70] == pytest.approx(100)
    assert lines["y"].get_ydata() == pytest.approx(70)
    assert lines["no filter"].get_ydata()[0] == pytest.approx(70)


def test_sizes_differ_without_colour():
    assert len({str(look.line) for look in epochs.SIZES}) == len({look.marker for look in epochs.SIZES}) == 7
    assert matplotlib.rcParams["axes.grid"] is False  # drawing leaves no style behind
