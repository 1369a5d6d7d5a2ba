"""Quality against cost: a mark a method, and a step line through those that none is both cheaper and better than."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from peftuq.report.figures.style import STYLE, WIDTH, handles, message

_TALL = 2.3  # inches of a panel
_LINE = 0.155  # inches of a line of the key
_KEY_COLUMNS = 2
MARKS = {  # marker and face: told apart without colour
    "plain LoRA": ("*", "black"),
    "plain LoRA, finished records": ("o", "white"),
    "plain LoRA, several passes": ("^", "0.75"),
    "another recipe": ("D", "white"),
    "another recipe, several passes": ("v", "0.45"),
}


class Point(NamedTuple):
    """A method: its name, one of MARKS, and its cost and quality."""

    title: str
    mark: str
    cost: float
    quality: float


class Panel(NamedTuple):
    """`better`: "higher" or "lower" quality; the cost's axis is logarithmic."""

    cost: str
    quality: str
    better: str
    points: list[Point]


def front(points: Sequence[Point], better: str) -> list[Point]:
    """The points that no other is as cheap and better than, or cheaper and as good, cheapest first."""
    sign = 1 if better == "higher" else -1
    found: list[Point] = []
    for point in sorted(points, key=lambda one: (one.cost, -sign * one.quality)):
        if not found or sign * point.quality > sign * found[-1].quality:
            found.append(point)
    return found


def draw(panels: Sequence[Panel], across: int) -> Figure:
    """Panels in rows of `across`; the methods on a front of one of them are numbered, and named below."""
    titles = dict.fromkeys(p.title for panel in panels for p in front(panel.points, panel.better))
    named = {title: number for number, title in enumerate(titles, start=1)}
    rows, lines = -(-len(panels) // across), -(-len(named) // _KEY_COLUMNS)
    below = 0.3 + 0.2 * 2 + _LINE * lines
    tall = _TALL * rows + below
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, tall), layout="constrained")
        figure.get_layout_engine().set(rect=(0, below / tall, 1, 1 - below / tall), wspace=0.06, hspace=0.06)
        axes = figure.subplots(rows, across, squeeze=False).ravel().tolist()
        for ax, panel in zip(axes, panels, strict=True):
            _panel(ax, panel, named)
        drawn = handles(axes)
        figure.legend(drawn.values(), drawn.keys(), loc="upper center", ncols=3, bbox_to_anchor=(0.5, below / tall))
        for index, (title, number) in enumerate(named.items()):
            column, line = divmod(index, lines)
            y = (below - 0.62 - _LINE * line) / tall
            figure.text(0.02 + column / _KEY_COLUMNS, y, f"{number}  {title}", fontsize=7.5, va="center")
    return figure


def _panel(ax: Axes, panel: Panel, named: Mapping[str, int]) -> None:
    ax.set(xlabel=panel.cost, ylabel=panel.quality)
    if not panel.points:
        message(ax, "not measured")
        return
    best = front(panel.points, panel.better)
    farthest = max(point.cost for point in panel.points)
    ax.plot(
        [*(p.cost for p in best), farthest],
        [*(p.quality for p in best), best[-1].quality],
        drawstyle="steps-post",
        color="0.35",
        lw=1,
        zorder=1,
        label="front",
    )
    for mark, (marker, face) in MARKS.items():
        here = [point for point in panel.points if point.mark == mark]
        if here:
            size = 9 if marker == "*" else 4.5
            xs, ys = [p.cost for p in here], [p.quality for p in here]
            ax.plot(xs, ys, marker, mfc=face, mec="black", ms=size, mew=0.7, ls="none", label=mark, zorder=2)
    above = panel.better == "higher"
    for point in best:
        ax.annotate(
            str(named[point.title]),
            (point.cost, point.quality),
            (-3, 4 if above else -4),
            textcoords="offset points",
            ha="right",
            va="bottom" if above else "top",
            fontsize=7.5,
            zorder=3,
        )
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=8))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.margins(x=0.12, y=0.12)
