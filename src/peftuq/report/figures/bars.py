"""Methods side by side on several datasets: bars of two measures, one above the other, and the paper's numbers."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from peftuq.report.figures.style import STYLE, WIDTH, Look, legend_outside, looks

_HATCHES = ("", "/////", r"\\\\\\", ".....", "xxxxx", "-----")  # distinguish bars where colours do not
_WIDTH = 0.84  # of a group, of the distance between two datasets


class Bars(NamedTuple):
    """One method in one measure: a mean a dataset, its standard deviation, and the paper's mean; None where none is."""

    name: str
    title: str
    mean: list[float | None]
    std: list[float | None]
    paper: list[float | None]


class Measure(NamedTuple):
    label: str
    bars: list[Bars]


def draw(datasets: Sequence[str], measures: Sequence[Measure]) -> Figure:
    """A panel a measure; the datasets stand from left to right, the methods within each."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 1.75 * len(measures) + 0.75), layout="constrained")
        axes = figure.subplots(len(measures), 1, squeeze=False, sharex=True).ravel().tolist()
        shown = looks(bars.name for measure in measures for bars in measure.bars)
        for ax, measure in zip(axes, measures, strict=True):
            _panel(shown, ax, measure)
        axes[-1].set_xticks(range(len(datasets)), datasets)
        legend_outside(figure, axes)
    return figure


def _panel(look_of: Mapping[str, Look], ax: Axes, measure: Measure) -> None:
    slot = _WIDTH / len(measure.bars)
    for index, bars in enumerate(measure.bars):
        positions = np.arange(len(bars.mean)) - _WIDTH / 2 + (index + 0.5) * slot
        heights = np.array([np.nan if mean is None else mean for mean in bars.mean])
        spread = np.array([0.0 if std is None else std for std in bars.std])
        style = {"facecolor": look_of[bars.name].color, "edgecolor": "white", "linewidth": 0.4, "alpha": 0.85}
        ax.bar(positions, heights, 0.92 * slot, hatch=_HATCHES[index % len(_HATCHES)], label=bars.title, **style)
        some = spread > 0
        for color, width in (("white", 1.9), ("0.25", 0.7)):  # a light edge, for bars that are dark
            ax.errorbar(positions[some], heights[some], spread[some], fmt="none", ecolor=color, elinewidth=width)
        printed = [
            (position, value) for position, value in zip(positions, bars.paper, strict=True) if value is not None
        ]
        if printed:
            ax.plot(
                *zip(*printed, strict=True), "D", ls="none", mfc="white", mec="black", ms=3.2, label="the paper’s mean"
            )
        for position in positions[np.isnan(heights)]:
            ax.annotate("×", (position, 0), ha="center", va="bottom", fontsize=7, color="0.3")
    ax.set_ylabel(measure.label)
    ax.set_ylim(bottom=0)
    ax.tick_params(axis="x", length=0)
    ax.margins(x=0.02)
    ax.grid(axis="x", visible=False)
