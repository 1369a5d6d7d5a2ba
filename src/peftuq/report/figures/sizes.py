"""How many members are enough: mean uncertainty against the size of the ensemble."""

from collections.abc import Sequence
from typing import NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from peftuq.report.figures.epochs import SIZES as LOOKS
from peftuq.report.figures.style import STYLE, facets, say


class Growth(NamedTuple):
    """Of one evaluation set: the values of the disjoint ensembles of each size."""

    title: str
    sizes: list[int]
    ensembles: list[np.ndarray]


class Panel(NamedTuple):
    label: str
    growths: list[Growth]


def draw(panels: Sequence[Panel]) -> Figure:
    """A panel a quantity, a line a set; a mark is the mean over the disjoint ensembles, its bar least to most."""
    with matplotlib.rc_context(STYLE):
        figure, axes = facets(len(panels), 2.1, across=2)
        for ax, panel in zip(axes, panels, strict=True):
            _panel(ax, panel)
        handles = {label: h for ax in axes for h, label in zip(*ax.get_legend_handles_labels(), strict=True)}
        figure.legend(handles.values(), handles.keys(), loc="lower center", ncols=max(1, min(5, len(handles))))
    return figure


def _panel(ax: Axes, panel: Panel) -> None:
    ax.set_ylabel(panel.label)
    sizes = sorted({size for growth in panel.growths for size in growth.sizes})
    if not sizes:
        say(ax, "needs two members")
        return
    for index, growth in enumerate(panel.growths):
        shown = LOOKS[index % len(LOOKS)]
        # Sets that share a size stand a little apart, in the axis' own (logarithmic) steps.
        x = np.array(growth.sizes) * 1.02 ** (index - (len(panel.growths) - 1) / 2)
        means = [values.mean() for values in growth.ensembles]
        ax.plot(x, means, color=shown.color, ls=shown.line, marker=shown.marker, mfc="white", label=growth.title)
        ax.vlines(x, *([f(v) for v in growth.ensembles] for f in (np.min, np.max)), color=shown.color, lw=0.9)
    ax.set_xscale("log")
    ax.set_xticks(sizes, map(str, sizes))
    ax.minorticks_off()
    ax.set_xlim(sizes[0] / 1.15, sizes[-1] * 1.15)
    ax.set_ylim(bottom=0)
    ax.set_xlabel("members M")
