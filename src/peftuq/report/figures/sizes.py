"""Mean uncertainty against the size of the ensemble."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from peftuq.report.figures.epochs import SIZES as LOOKS
from peftuq.report.figures.style import STYLE, WIDTH, handles, message

_TALL = 2.1  # inches: a panel with its labels
_IN_LINE = 4  # names in a line of the legend


class Growth(NamedTuple):
    """The growth on one evaluation set: the values of the disjoint ensembles of each size."""

    title: str
    sizes: list[int]
    ensembles: list[np.ndarray]


class Panel(NamedTuple):
    label: str
    growths: list[Growth]


def draw(panels: Sequence[Panel]) -> Figure:
    """A panel a quantity, a line a set; a mark is the mean over the disjoint ensembles, its bar least to most."""
    with matplotlib.rc_context(STYLE):
        titles = dict.fromkeys(growth.title for panel in panels for growth in panel.growths)
        below = 0.12 + 0.19 * math.ceil(len(titles) / _IN_LINE)
        tall = _TALL + below
        figure = Figure(figsize=(WIDTH, tall), layout="constrained")
        figure.get_layout_engine().set(rect=(0, below / tall, 1, 1 - below / tall), wspace=0.05)
        axes = figure.subplots(1, len(panels), squeeze=False)[0]
        for ax, panel in zip(axes, panels, strict=True):
            _panel(ax, panel)
        named = handles(axes)
        figure.legend(named.values(), named.keys(), loc="lower center", ncols=_IN_LINE)
    return figure


def _panel(ax: Axes, panel: Panel) -> None:
    ax.set_ylabel(panel.label)
    sizes = sorted({size for growth in panel.growths for size in growth.sizes})
    if not sizes:
        message(ax, "needs two members")
        return
    span = max(sizes[-1] / sizes[0], 1.5)
    for index, growth in enumerate(panel.growths):
        shown = LOOKS[index % len(LOOKS)]
        # The sets' marks of one size stand a little apart.
        x = np.array(growth.sizes) * span ** (0.012 * (index - (len(panel.growths) - 1) / 2))
        means = [values.mean() for values in growth.ensembles]
        ax.plot(x, means, color=shown.color, ls=shown.line, marker=shown.marker, mfc="white", label=growth.title)
        low, high = ([f(values) for values in growth.ensembles] for f in (np.min, np.max))
        ax.vlines(x, low, high, color=shown.color, lw=0.9, zorder=1)
    ax.set_xscale("log")
    ax.set_xticks(sizes, map(str, sizes))
    ax.minorticks_off()
    ax.set_xlim(sizes[0] / span**0.1, sizes[-1] * span**0.1)
    ax.set_ylim(0, 1.08 * ax.get_ylim()[1])
    ax.set_xlabel("members M")
