"""Error-AUROC of each method in each setting: one dot a seed, their mean, and the paper's."""

from collections.abc import Sequence
from typing import NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from peftuq.report.figures.style import ACROSS, STYLE, facets, legend


class Dots(NamedTuple):
    """One panel, a setting: per method its title, the values of the seeds (AUROC ×100) and the paper's mean, if any."""

    title: str
    methods: list[str]
    seeds: list[list[float]]
    paper: list[float | None]


def draw(panels: Sequence[Dots]) -> Figure:
    with matplotlib.rc_context(STYLE):
        lines = max(len(panel.methods) for panel in panels)
        figure, axes = facets(len(panels), 0.6 + 0.19 * lines, sharey=True)
        for index, (ax, panel) in enumerate(zip(axes, panels, strict=True)):
            _panel(ax, panel)
            if index + ACROSS >= len(panels):
                ax.set_xlabel("error-AUROC ×100")
        legend(figure, axes)
    return figure


def _panel(ax: Axes, panel: Dots) -> None:
    positions = np.arange(len(panel.methods))
    for position, values in zip(positions, panel.seeds, strict=True):
        if values:
            ax.plot(
                values, np.full(len(values), position), "o", mfc="none", mec="0.45", ms=3.5, mew=0.7, label="one seed"
            )
            ax.plot([np.mean(values)], [position], "|", color="black", ms=9, mew=1.8, label="mean over seeds")
        else:
            ax.annotate("no value", (0.5, position), xycoords=("axes fraction", "data"), ha="center", va="center",
                        style="italic", fontsize=7.5, color="0.3")  # fmt: skip
    printed = [(value, position) for value, position in zip(panel.paper, positions, strict=True) if value is not None]
    if printed:
        ax.plot(*zip(*printed, strict=True), "D", mfc="white", mec="black", ms=4.5, label="the paper’s mean")
    if any(value < 60 for values in panel.seeds for value in values):
        ax.axvline(50, color="0.5", lw=0.8, ls=(0, (4, 2)), label="chance")
    ax.set_yticks(positions, panel.methods)
    ax.set_ylim(len(positions) - 0.4, -0.6)
    ax.margins(x=0.08)
    if not printed and not any(panel.seeds):
        ax.set_xlim(50, 100)
    ax.set_title(panel.title, loc="left")
    ax.grid(axis="y", visible=False)
