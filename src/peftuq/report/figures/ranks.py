"""Average rank of each method, ours beside the paper's."""

from collections.abc import Sequence
from typing import NamedTuple

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from peftuq.report.figures.style import STYLE, facets, legend


class Ranked(NamedTuple):
    """One panel: titles of methods, and their average ranks in this run and in the paper, None where there are none."""

    title: str
    methods: list[str]
    ours: list[float] | None
    paper: list[float] | None


def draw(panels: Sequence[Ranked]) -> Figure:
    """A panel a group of settings; the methods from the best of our ranks down."""
    with matplotlib.rc_context(STYLE):
        lines = max(len(panel.methods) for panel in panels)
        figure, axes = facets(len(panels), 0.55 + 0.24 * lines, across=2)
        for ax, panel in zip(axes, panels, strict=True):
            _panel(ax, panel)
        legend(figure, axes)
    return figure


def _panel(ax: Axes, panel: Ranked) -> None:
    order = list(range(len(panel.methods)))
    if panel.ours or panel.paper:
        order.sort(key=(panel.ours or panel.paper).__getitem__)
    positions = range(len(order))
    if panel.paper:
        ax.plot([panel.paper[i] for i in order], positions, "D", mfc="white", mec="0.35", ms=5.5, label="the paper")
    if panel.ours:
        ax.plot([panel.ours[i] for i in order], positions, "o", color="black", ms=4.5, label="this run")
    if panel.ours and panel.paper:
        for position, index in enumerate(order):
            ax.plot([panel.ours[index], panel.paper[index]], [position, position], color="0.6", lw=0.8, zorder=1)
    ax.set_yticks(positions, [panel.methods[i] for i in order])
    ax.set_ylim(len(order) - 0.4, -0.6)
    ax.set_xlim(0.8, len(order) + 0.2)
    ax.set_xticks(range(1, len(order) + 1))
    ax.set_xlabel("average rank (1: best)")
    ax.set_title(panel.title, loc="left")
    ax.grid(axis="y", visible=False)
