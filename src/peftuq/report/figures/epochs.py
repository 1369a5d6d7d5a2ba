"""An ensemble through its fine-tuning: metrics against the epoch, a line for each number of members."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from peftuq.report.figures.style import STYLE, WIDTH, Look, handles

ACROSS = 5  # columns that fit side by side
_TALL, _LEFT, _ABOVE, _BELOW = 1.02, 0.62, 0.24, 0.72  # inches: a row; room for labels, titles and the legend
_DODGE = 0.06  # epochs between neighbouring sizes' bars, where a single epoch leaves no line to follow

SIZES = (  # from the smallest ensemble up
    Look("#000000", (0, (1, 1)), "x"),
    Look("#D55E00", (0, (5, 1.5)), "s"),
    Look("#009E73", (0, (5, 1, 1, 1)), "D"),
    Look("#0072B2", "-", "o"),
    Look("#CC79A7", (0, (3, 1, 1, 1, 1, 1)), "v"),
    Look("#56B4E9", (0, (8, 2)), "^"),
    Look("#E69F00", (0, (2, 1)), "P"),
)


class Curve(NamedTuple):
    """A metric of ensembles of `size`: for every epoch the values of the disjoint ensembles, (E,) of them."""

    size: int
    epochs: list[int]
    ensembles: list[np.ndarray]


class Line(NamedTuple):
    """A row of panels: a quantity's label, and its curves by column; a column without any has no panel."""

    label: str
    curves: Mapping[str, Sequence[Curve]]


def draw(columns: Mapping[str, str], lines: Sequence[Line]) -> Figure:
    """`columns` are keys → titles. A line is the mean over the disjoint ensembles, a band from least to most."""
    with matplotlib.rc_context({**STYLE, "lines.markersize": 3}):
        wide, tall = min(WIDTH, _LEFT + 1.55 * max(3, len(columns))), _TALL * len(lines) + _ABOVE + _BELOW
        figure = Figure(figsize=(wide, tall))
        axes = figure.subplots(len(lines), len(columns), squeeze=False, sharex=True, sharey="row")
        # In inches and at once: a solver for 25 panels takes longer than drawing them.
        figure.subplots_adjust(_LEFT / wide, _BELOW / tall, 1 - 0.06 / wide, 1 - _ABOVE / tall, wspace=0.1, hspace=0.16)
        sizes = sorted({curve.size for line in lines for curves in line.curves.values() for curve in curves})
        for row, line in enumerate(lines):
            for ax, key in zip(axes[row], columns, strict=True):
                _panel(ax, line.curves[key], sizes)
            axes[row][0].set_ylabel(line.label)
            axes[row][0].yaxis.set_label_coords(-0.48 / (wide * axes[row][0].get_position().width), 0.5)
        for ax, title in zip(axes[0], columns.values(), strict=True):
            ax.set_title(title, loc="left")
        for ax in axes[-1]:
            ax.set_xlabel("epoch")
        named = handles(axes.ravel())
        figure.legend(named.values(), named.keys(), loc="lower center", ncols=max(1, len(named)))
    return figure


def _panel(ax: Axes, curves: Sequence[Curve], sizes: Sequence[int]) -> None:
    ax.locator_params(axis="y", nbins=4)
    for curve in curves:
        position = sizes.index(curve.size)
        shown = SIZES[position % len(SIZES)]
        alone = len(curve.epochs) == 1
        x = np.array(curve.epochs) + (_DODGE * (position - (len(sizes) - 1) / 2) if alone else 0)
        mean = [values.mean() for values in curve.ensembles]
        low, high = ([f(values) for values in curve.ensembles] for f in (np.min, np.max))
        style = {"color": shown.color, "ls": shown.line, "marker": shown.marker, "label": f"M = {curve.size}"}
        ax.plot(x, mean, mfc="white", **style)
        if alone:
            ax.vlines(x, low, high, color=shown.color, lw=0.9, zorder=1)
        else:
            ax.fill_between(x, low, high, color=shown.color, alpha=0.15, lw=0)
    every = sorted({epoch for curve in curves for epoch in curve.epochs})
    if every:
        step = -(-len(every) // 5)
        ax.set_xticks(every[::step])
        ax.set_xlim(every[0] - 0.4, every[-1] + 0.4)
