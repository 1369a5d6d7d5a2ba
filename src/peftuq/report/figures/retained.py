"""Filtering by uncertainty: the accuracy of the answers that are kept."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from peftuq.metrics.selective import risk_coverage
from peftuq.report.figures.coverage import LEAST
from peftuq.report.figures.epochs import SIZES as LOOKS
from peftuq.report.figures.style import in_rows

_POINTS = 200  # a curve of every test example would only make the file large


class Filter(NamedTuple):
    """A score (N,) to filter by, the highest first."""

    title: str
    score: np.ndarray


class Panel(NamedTuple):
    title: str
    filters: list[Filter]
    correct: np.ndarray


def draw(panels: Sequence[Panel]) -> Figure:
    return in_rows(panels, 1.9, "accuracy, %", _panel)


def _panel(ax: Axes, panel: Panel) -> None:
    ax.set_title(panel.title, loc="left")
    ax.axhline(100 * panel.correct.mean(), color="0.5", lw=0.8, label="no filter")
    for shown, one in zip((LOOKS[3], LOOKS[1]), panel.filters, strict=True):
        kept, risk = risk_coverage(one.score, ~panel.correct)
        first = np.searchsorted(kept, LEAST)
        some = np.unique(np.linspace(first, len(kept) - 1, _POINTS).round().astype(int))
        ax.plot(100 * kept[some], 100 * (1 - risk[some]), color=shown.color, ls=shown.line, label=one.title)
    ax.set_xlim(100, 0)
    ax.set_xlabel("answers retained, %")
