"""Differences with their intervals, a line a change, beside the difference that another seed alone makes."""

from collections.abc import Sequence
from typing import NamedTuple

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from peftuq.report.figures.style import STYLE, WIDTH, handles


class Move(NamedTuple):
    """A change's difference and the ends of its interval, None where it has none; a difference of None is missing."""

    estimate: float | None
    interval: tuple[float, float] | None


class Panel(NamedTuple):
    """One metric: a move a change, and the mean absolute difference between two seeds (None where it has one)."""

    label: str
    moves: list[Move]
    seed: float | None


def draw(names: Sequence[str], panels: Sequence[Panel]) -> Figure:
    """A panel a metric, side by side; the changes stand from top to bottom."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 0.95 + 0.21 * len(names)), layout="constrained")
        axes = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
        for ax, panel in zip(axes, panels, strict=True):
            _panel(ax, panel)
        axes[0].set_yticks(range(len(names)), names)
        axes[0].set_ylim(len(names) - 0.4, -0.6)
        named = handles(axes)
        figure.legend(named.values(), named.keys(), loc="outside lower center", ncols=3)
    return figure


def _panel(ax: Axes, panel: Panel) -> None:
    if panel.seed is not None:
        ax.axvspan(-panel.seed, panel.seed, color="0.88", lw=0, zorder=0, label="between two seeds, on average")
    ax.axvline(0, color="0.4", lw=0.8, zorder=1)
    for position, move in enumerate(panel.moves):
        if move.estimate is None:
            ax.annotate("no value", (0.5, position), xycoords=("axes fraction", "data"), ha="center", va="center",
                        style="italic", fontsize=7.5, color="0.3")  # fmt: skip
            continue
        if move.interval is not None:
            ax.plot(move.interval, [position] * 2, "-", color="black", lw=1.1, label="95 % interval", zorder=2)
        ax.plot([move.estimate], [position], "o", mfc="white", mec="black", ms=4.2, label="mean over seeds", zorder=3)
    ax.set_xlabel(panel.label)
    ax.margins(x=0.08)
    ax.grid(axis="y", visible=False)
