"""Critical-difference diagrams (Demšar 2006): ranks on a line, and bars over those that cannot be told apart."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from peftuq.metrics.friedman import groups
from peftuq.report.figures.style import STYLE, WIDTH

_LINE, _BAR, _ABOVE = 0.17, 0.09, 0.75  # inches: a name, a bar, the title and the axis


class Diagram(NamedTuple):
    """Average ranks by method, their critical `difference`, and the `p` of Friedman's test."""

    title: str
    ranks: Mapping[str, float]
    difference: float
    p: float


def draw(diagrams: Sequence[Diagram]) -> Figure:
    """One below the other; names stand to the left and right of the line."""
    with matplotlib.rc_context({**STYLE, "axes.grid": False}):
        heights = [_height(diagram) for diagram in diagrams]
        figure, below = Figure(figsize=(WIDTH, sum(heights))), sum(heights)
        for diagram, height in zip(diagrams, heights, strict=True):
            below -= height
            ax = figure.add_axes((0.33, below / sum(heights), 0.34, height / sum(heights)))
            _draw(ax, diagram, height)
    return figure


def _height(diagram: Diagram) -> float:
    half = -(-len(diagram.ranks) // 2)
    return _ABOVE + _BAR * len(_groups(diagram)) + _LINE * half + 0.1


def _groups(diagram: Diagram) -> list[tuple[int, int]]:
    return groups(sorted(diagram.ranks.values()), diagram.difference)


def _draw(ax: Axes, diagram: Diagram, height: float) -> None:
    names = sorted(diagram.ranks, key=diagram.ranks.__getitem__)
    ax.set(xlim=(1, len(names)), ylim=(height, 0))
    ax.axis("off")
    axis = _ABOVE - 0.08
    ax.plot([1, len(names)], [axis, axis], color="black", lw=0.8, clip_on=False)
    step = max(1, len(names) // 8)
    for rank in range(1, len(names) + 1, step):
        ax.plot([rank, rank], [axis - 0.05, axis], color="black", lw=0.8, clip_on=False)
        ax.text(rank, axis - 0.08, str(rank), ha="center", va="bottom", fontsize=8)
    p = "p < 0.001" if diagram.p < 0.001 else f"p = {diagram.p:.3f}"  # nan: nothing differs
    text = f"{diagram.title} (Friedman {p}; CD = {diagram.difference:.2f})"
    ax.text((1 + len(names)) / 2, 0.1, text, ha="center", va="top", fontsize=9)
    bars = _groups(diagram)
    for index, (first, last) in enumerate(bars):
        low, high = (diagram.ranks[names[position]] for position in (first, last))
        y = axis + 0.07 + _BAR * index
        ax.plot([low, high], [y, y], color="black", lw=2.4, solid_capstyle="butt", clip_on=False)
    _name(ax, diagram, names, axis, axis + 0.1 + _BAR * len(bars))


def _name(ax: Axes, diagram: Diagram, names: Sequence[str], axis: float, top: float) -> None:
    half = -(-len(names) // 2)
    for index, name in enumerate(names):
        left = index < half
        y = top + _LINE * (index if left else len(names) - 1 - index)
        edge, rank = (1 if left else len(names)), diagram.ranks[name]
        ax.plot([rank, rank, edge], [axis, y, y], color="0.4", lw=0.6, clip_on=False)
        label = f"{name} {rank:.1f} " if left else f" {rank:.1f} {name}"
        ax.text(edge, y, label, ha="right" if left else "left", va="center", fontsize=7.5)
