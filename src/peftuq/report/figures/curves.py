"""Measures against something that varies: a hyper-parameter, the size of an ensemble, the distance of a shift."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from peftuq.report.figures.style import STYLE, WIDTH, Look, legend_outside, looks, message

ACROSS = 2


class Curve(NamedTuple):
    """`name` chooses its look; means over seeds at each x with their spread, and the paper's; None where none is."""

    name: str
    title: str
    x: list[float]
    mean: list[float | None]
    std: list[float | None]
    paper: list[float | None]


class Panel(NamedTuple):
    """`ticks`: what stands at x = 0, 1, …; without them x is a number."""

    title: str
    xlabel: str
    ylabel: str
    curves: list[Curve]
    ticks: list[str] = []


def draw(panels: Sequence[Panel], height: float = 1.9) -> Figure:
    """Panels in rows of two, `height` inches each."""
    with matplotlib.rc_context(STYLE):
        rows = math.ceil(len(panels) / ACROSS)
        figure = Figure(figsize=(WIDTH, height * rows + 0.55), layout="constrained")
        axes = figure.subplots(rows, ACROSS, squeeze=False).ravel().tolist()
        for spare in axes[len(panels) :]:
            spare.remove()
        shown = looks(curve.name for panel in panels for curve in panel.curves)
        for ax, panel in zip(axes, panels, strict=False):
            _panel(shown, ax, panel)
        legend_outside(figure, axes[: len(panels)])
    return figure


def _panel(look_of: Mapping[str, Look], ax: Axes, panel: Panel) -> None:
    ax.set_title(panel.title, loc="left")
    if not any(mean is not None for curve in panel.curves for mean in curve.mean):
        message(ax, "no value")
        return
    for curve in panel.curves:
        _curve(look_of[curve.name], ax, curve)
    ax.set(xlabel=panel.xlabel, ylabel=panel.ylabel)
    if panel.ticks:
        ax.set_xticks(range(len(panel.ticks)), panel.ticks, rotation=35, ha="right", rotation_mode="anchor")
    else:
        ax.set_xticks(sorted({x for curve in panel.curves for x in curve.x}))


def _curve(shown: Look, ax: Axes, curve: Curve) -> None:
    there = [
        (x, mean, std or 0.0) for x, mean, std in zip(curve.x, curve.mean, curve.std, strict=True) if mean is not None
    ]
    if there:
        x, mean, std = zip(*there, strict=True)
        ax.errorbar(
            x, mean, std, color=shown.color, ls=shown.line, marker=shown.marker, elinewidth=0.6, label=curve.title
        )
    printed = [(x, value) for x, value in zip(curve.x, curve.paper, strict=True) if value is not None]
    if printed:
        ax.plot(*zip(*printed, strict=True), "D", mfc="white", mec=shown.color, ms=4.5, label="the paper’s mean")
