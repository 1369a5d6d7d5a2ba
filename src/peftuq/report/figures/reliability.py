"""Reliability diagrams: is a prediction of confidence 1 − U right that often?"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from peftuq.metrics.calibration import reliability_bins
from peftuq.report.figures.style import ACROSS, STYLE, Look, legend, legend_height, looks, message, width_of

_HEIGHT = 2.42  # inches: a row of panels without its titles
_LINE = 0.2  # of a title
_UPPER, _LOWER = 1.45, 0.42  # the two axes of a panel
_LEFT, _GAP, _LABELS = 0.45, 0.42, 0.42  # room for the first column's labels, between panels, below a panel

BINS = 10
FEW = 10  # predictions: a bin of fewer is uncertain, its marker is hollow


class Confidence(NamedTuple):
    """A score of one setting, its seeds pooled: variant, title, confidence 1 − U (N,) and whether it was right (N,)."""

    variant: str
    title: str
    confidence: np.ndarray
    correct: np.ndarray


class Diagram(NamedTuple):
    """A panel: bins of equal width from the `lowest` possible confidence to 1, and what the confidence is called."""

    title: str
    scores: list[Confidence]
    lowest: float = 0.0
    name: str = "confidence 1 − U"


def draw(diagrams: Sequence[Diagram]) -> Figure:
    """A panel a setting: accuracy against confidence, and below it how many predictions fall into each bin."""
    with matplotlib.rc_context(STYLE):
        n = len(diagrams)
        rows = math.ceil(n / ACROSS)
        height = _HEIGHT + _LINE * max(diagram.title.count("\n") + 1 for diagram in diagrams)
        names = dict.fromkeys(score.title for diagram in diagrams for score in diagram.scores)
        figure = Figure(figsize=(width_of(n), height * rows + legend_height(n, ["calibrated", *names])))
        uppers = []
        shown = looks(score.variant for diagram in diagrams for score in diagram.scores)
        for position, diagram in enumerate(diagrams):
            upper, lower = _axes(figure, position, min(n, ACROSS), height)
            _panel(shown, upper, lower, diagram, first=position % ACROSS == 0)
            uppers.append(upper)
        legend(figure, uppers)
    return figure


def _axes(figure: Figure, position: int, across: int, row_height: float) -> tuple[Axes, Axes]:
    """The two axes of a panel, placed in inches: nothing else keeps them close together and alike on every page."""
    row, column = divmod(position, across)
    width, height = figure.get_size_inches()
    left = _LEFT + column * (width - _LEFT) / across
    bottom = height - row_height * (row + 1) + _LABELS
    size = (width - _LEFT) / across - _GAP

    def add(above: float, tall: float, **shared: Axes) -> Axes:
        box = (left / width, (bottom + above) / height, size / width, tall / height)
        return figure.add_axes(box, **shared)

    lower = add(0, _LOWER)
    return add(_LOWER + 0.08, _UPPER, sharex=lower), lower


def _panel(look_of: Mapping[str, Look], upper: Axes, lower: Axes, diagram: Diagram, first: bool) -> None:
    upper.set_title(diagram.title, loc="left")
    if not diagram.scores:
        message(upper, "scores missing")
        message(lower, "")
        return
    upper.plot([0, 1], [0, 1], color="0.6", lw=0.8, label="calibrated")
    span = 1 - diagram.lowest
    edges = diagram.lowest + span * np.arange(BINS + 1) / BINS
    hatches = {"adue": "", "sr": "/////"}
    for score in diagram.scores:
        stretched = (score.confidence - diagram.lowest) / span
        look_, bins = look_of[score.variant], reliability_bins(stretched, score.correct, BINS)
        confidence = diagram.lowest + span * bins.confidence
        style = {"color": look_.color, "marker": look_.marker, "clip_on": False}
        upper.plot(confidence, bins.accuracy, ls=look_.line, label=score.title, **style)
        few = bins.count < FEW
        upper.plot(confidence[few], bins.accuracy[few], ls="none", mfc="white", **style)
        counts = np.zeros(BINS)
        counts[np.rint(bins.lower * BINS).astype(int)] = bins.count
        lower.stairs(counts, edges, color=look_.color, ls=look_.line, lw=0.9, hatch=hatches.get(score.variant))
    ticks = np.arange(6) / 5
    upper.set(xlim=(diagram.lowest, 1), ylim=(0, 1), xticks=ticks[ticks >= diagram.lowest], yticks=ticks)
    upper.tick_params(labelbottom=False)
    lower.set_xlabel(diagram.name)
    lower.set_ylim(bottom=0)
    lower.locator_params(axis="y", nbins=2)
    if first:
        upper.set_ylabel("share correct")
        lower.set_ylabel("count")
