"""Approximate posteriors beside the exact one: mutual information example by example, and total variation."""

from collections.abc import Sequence
from typing import NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from peftuq.report.figures.style import ACROSS, STYLE, WIDTH, facets, legend

_SETS = (("o", "none", "0.0"), ("^", "0.75", "0.4"))  # marker, face and edge: the test split, the shift sets


class Scatter(NamedTuple):
    """One method: the exact and its own mutual information of the examples of each group, by the group's title."""

    title: str
    groups: dict[str, tuple[np.ndarray, np.ndarray]]


def scatter(panels: Sequence[Scatter], most: float) -> Figure:
    """A panel a method; the methods' own axis goes to `most` nats, the exact one as far as its values."""
    farthest = 1.05 * max(exact.max() for panel in panels for exact, _ in panel.groups.values())
    with matplotlib.rc_context(STYLE):
        figure, axes = facets(len(panels), 2.1, sharex=True, sharey=True)
        for index, (ax, panel) in enumerate(zip(axes, panels, strict=True)):
            ax.set_title(panel.title, loc="left")
            ax.plot([0, most], [0, most], color="0.6", lw=0.8, label="equal")
            for (title, (exact, own)), (marker, face, edge) in zip(panel.groups.items(), _SETS, strict=False):
                drawn = {"ls": "none", "marker": marker, "mfc": face, "mec": edge, "ms": 2.6, "mew": 0.5}
                ax.plot(exact, own, label=title, **drawn)
            ax.set(xlim=(0, farthest), ylim=(0, most))
            ax.set_xlabel("exact MI, nats")
            if index % ACROSS == 0:
                ax.set_ylabel("MI of the method, nats")
        legend(figure, axes)
    return figure


def distributions(parts: dict[str, dict[str, np.ndarray]]) -> Figure:
    """A panel an evaluation set: total variation (N,) of every method, by its title, as boxes."""
    with matplotlib.rc_context(STYLE):
        rows = -(-len(parts) // 2)
        figure = Figure(figsize=(WIDTH, 0.45 + 1.85 * rows), layout="constrained")
        axes = figure.subplots(rows, 2, squeeze=False, sharex=True, sharey=True).ravel()
        for ax in axes[len(parts) :]:
            ax.remove()
        for ax, (title, methods) in zip(axes, parts.items(), strict=False):
            ax.set_title(title, loc="left")
            _boxes(ax, list(methods.values()))
            ax.tick_params(labelbottom=True)
        # The axes are shared: what is set of one is set of all.
        names = list(next(iter(parts.values())))
        axes[0].set_yticks(range(len(names)), names)
        axes[0].invert_yaxis()
        axes[0].set_xlim(left=0)
        figure.supxlabel("total variation between the method’s prediction and the exact one", fontsize=9)
    return figure


def _boxes(ax: Axes, values: list[np.ndarray]) -> None:
    ax.boxplot(
        values,
        positions=range(len(values)),
        manage_ticks=False,
        orientation="horizontal",
        whis=(5, 95),
        widths=0.6,
        showfliers=False,
        showmeans=True,
        patch_artist=True,
        boxprops={"facecolor": "0.85", "linewidth": 0.7},
        medianprops={"color": "black", "linewidth": 1.2},
        whiskerprops={"linewidth": 0.7},
        capprops={"linewidth": 0.7},
        meanprops={"marker": "D", "markerfacecolor": "white", "markeredgecolor": "black", "markersize": 3},
    )
    ax.grid(axis="y", visible=False)
