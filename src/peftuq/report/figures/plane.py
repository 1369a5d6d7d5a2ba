"""Answers in the plane of entropy and mutual information, correct and incorrect ones apart."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, LinearSegmentedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, StrMethodFormatter

from peftuq.report.figures.style import STYLE

ACROSS = 4  # columns that fit side by side
HIGH_ENTROPY, HIGH_INFORMATION = 1 / 2, 1 / 4  # where the regimes part, as shares of log C; the paper draws no lines

_LEFT, _RIGHT, _TOP, _BOTTOM = 0.8, 1.32, 0.24, 0.42  # inches around the panels
_PANEL, _TALL = 4.57, 0.98  # all panels of a row together; the height of one
_WIDEST, _GAP, _BETWEEN = 1.75, 0.12, 0.2  # of one panel; inside a pair of rows and beside a panel; between pairs
_BINS = (32, 24)


class Cloud(NamedTuple):
    """Answers of one kind, after one epoch: their entropy (N,) and mutual information (N,) in nats."""

    entropy: np.ndarray
    mutual_information: np.ndarray


class EvaluationSet(NamedTuple):
    """A column: an evaluation set, the most options C of its questions, and (correct, incorrect) of each row pair.

    Without labels a pair is (all, None).
    """

    title: str
    options: int
    pairs: list[tuple[Cloud, Cloud | None]]


def draw(epochs: Sequence[str], sets: Sequence[EvaluationSet], members: int) -> Figure:
    """A column a set, two rows (correct, incorrect) an epoch; axes and colours are shared by all panels."""
    with matplotlib.rc_context({**STYLE, "axes.grid": False}):
        limits = _limits(sets, members)
        edges = tuple(np.linspace(0, limit, bins + 1) for limit, bins in zip(limits, _BINS, strict=True))
        counts = [[[cloud and _counts(cloud, edges) for cloud in pair] for pair in one.pairs] for one in sets]
        norm = LogNorm(1, max(2, max(c.max() for column in counts for pair in column for c in pair if c is not None)))
        wide = min(_WIDEST, _PANEL / len(sets) - _GAP)
        pair_height = 2 * _TALL + _GAP + _BETWEEN
        tall = _TOP + _BOTTOM + pair_height * len(epochs) - _BETWEEN
        figure = Figure(figsize=(_LEFT + len(sets) * (wide + _GAP) - _GAP + _RIGHT, tall))
        for column, one in enumerate(sets):
            for row in range(2 * len(epochs)):
                pair, kind = divmod(row, 2)
                above = _TOP + pair * pair_height + kind * (_TALL + _GAP) + _TALL
                ax = _add(figure, (_LEFT + column * (wide + _GAP), tall - above), (wide, _TALL))
                _panel(ax, one.pairs[pair][kind], counts[column][pair][kind], edges, norm)
                _region(ax, one.options, members, limits)
                _label(ax, row, column, last=row == 2 * len(epochs) - 1)
                if row == 0:
                    ax.set_title(one.title, loc="left")
                if kind == 0 and column == 0:
                    middle = 1 - (above + _GAP / 2) / tall
                    figure.text(0.1 / figure.get_figwidth(), middle, epochs[pair], rotation=90, ha="center",
                                va="center")  # fmt: skip
        _key(figure, sets[0].options, tall)
        _bar(figure, norm, tall)
    return figure


def _limits(sets: Sequence[EvaluationSet], members: int) -> tuple[float, float]:
    """The ends of both axes, in nats: all of the entropy; of the information what occurs, and more than is high."""
    most = math.log(max(one.options for one in sets))
    clouds = [cloud for one in sets for pair in one.pairs for cloud in pair if cloud is not None]
    seen = max((float(cloud.mutual_information.max()) for cloud in clouds if len(cloud.entropy)), default=0.0)
    highest = min(most, math.log(members)) if members > 1 else most
    return most, max(seen, min(highest, max(1.08 * seen, 1.6 * HIGH_INFORMATION * most)))


def _counts(cloud: Cloud, edges: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    # An entropy may round to just above log C.
    x, y = (np.clip(v, e[0], e[-1]) for v, e in zip(cloud, edges, strict=True))
    return np.histogram2d(x, y, bins=edges)[0]


def _colours() -> Colormap:
    """From a blue that is seen on white to almost black: the order of the counts survives a grey printer."""
    return LinearSegmentedColormap.from_list("counts", ["#b9d9ea", "#4a9cc9", "#1f5a9e", "#0b1f4b"])


def _panel(
    ax: Axes, cloud: Cloud | None, counts: np.ndarray | None, edges: tuple[np.ndarray, np.ndarray], norm: LogNorm
) -> None:
    ax.set(xlim=(0, edges[0][-1]), ylim=(0, edges[1][-1]))
    ax.locator_params(axis="x", nbins=4)
    ax.locator_params(axis="y", nbins=4)
    number = len(cloud.entropy) if cloud is not None else 0
    if not number:
        said = "no labels" if cloud is None else "none"
        ax.text(0.5, 0.5, said, transform=ax.transAxes, ha="center", va="center", style="italic", color="0.3")
        return
    ax.pcolormesh(*edges, np.ma.masked_equal(counts.T, 0), cmap=_colours(), norm=norm, rasterized=True)
    text = f"{number:,}\nMI {cloud.mutual_information.mean():.2f}"
    ax.text(0.03, 0.95, text, transform=ax.transAxes, ha="left", va="top", fontsize=7, linespacing=1.1, zorder=5)


def _region(ax: Axes, options: int, members: int, limits: tuple[float, float]) -> None:
    """The borders of 0 <= MI <= H <= log C, of MI <= log M, and of the regimes."""
    most = math.log(options)
    top = min(most, math.log(members)) if members > 1 else most
    ax.fill([0, top, most, most, limits[0] * 1.1, limits[0] * 1.1, 0],
            [0, top, top, 0, 0, limits[1] * 2, limits[1] * 2], color="0.9", lw=0, zorder=0)  # fmt: skip
    ax.plot([0, top, most, most], [0, top, top, 0], color="0.25", lw=0.7, zorder=4)
    dotted = {"color": "0.25", "lw": 0.6, "ls": (0, (2, 2)), "zorder": 4}
    ax.plot([HIGH_INFORMATION * most, most], [HIGH_INFORMATION * most] * 2, **dotted)
    ax.plot([HIGH_ENTROPY * most] * 2, [0, HIGH_INFORMATION * most], **dotted)


def _label(ax: Axes, row: int, column: int, last: bool) -> None:
    ax.tick_params(labelleft=column == 0, labelbottom=last, labelsize=7)
    if column == 0:
        ax.set_ylabel(("correct", "incorrect")[row % 2] + "\nMI, nats", fontsize=8)
    if last:
        ax.set_xlabel("entropy, nats", fontsize=8)


def _key(figure: Figure, options: int, tall: float) -> None:
    """The regimes by name, in a plane of their own."""
    ax = _add(figure, (figure.get_figwidth() - _RIGHT + 0.14, tall - _TOP - _TALL), (_RIGHT - 0.16, _TALL))
    most = math.log(options)
    ax.set(xlim=(0, most), ylim=(0, most / 2), xticks=[], yticks=[])
    _region(ax, options, 1, (most, most / 2))
    for x, y, text in ((0.3, 0.07, "known"), (0.75, 0.125, "known-\nuncertain"), (0.68, 0.37, "unknown")):
        ax.text(x * most, y * most, text, ha="center", va="center", fontsize=7.5, style="italic", linespacing=0.95)
    ax.text(0.02, 0.46 * most, "MI > H", fontsize=7, color="0.35", va="center")


def _bar(figure: Figure, norm: LogNorm, tall: float) -> None:
    height = min(1.5, tall - _TOP - _TALL - _BOTTOM - 0.3)
    ax = _add(figure, (figure.get_figwidth() - _RIGHT + 0.3, tall - _TOP - _TALL - 0.3 - height), (0.12, height))
    bar = figure.colorbar(ScalarMappable(norm, _colours()), cax=ax)
    bar.set_label("answers in a bin", fontsize=8)
    bar.ax.tick_params(labelsize=7)
    bar.ax.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    bar.ax.yaxis.set_minor_formatter(NullFormatter())


def _add(figure: Figure, corner: tuple[float, float], size: tuple[float, float]) -> Axes:
    """Axes by their lower left corner and size in inches."""
    width, height = figure.get_size_inches()
    return figure.add_axes((corner[0] / width, corner[1] / height, size[0] / width, size[1] / height))
