"""Risk-coverage curves: the error rate when only the examples with the lowest scores are answered."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from peftuq.metrics.selective import risk_coverage
from peftuq.report.figures.style import Look, in_rows, looks, message

LEAST = 0.05  # of coverage: below it a handful of examples decides the rate
_POINTS = 150  # a curve of every test example would only make the file large


class Curve(NamedTuple):
    """A score of one setting: variant, title, and its (score (N,), error (N,)) of each seed, on the same test set."""

    variant: str
    title: str
    runs: list[tuple[np.ndarray, np.ndarray]]


class Panel(NamedTuple):
    title: str
    curves: list[Curve]
    banded: tuple[str, ...]  # the variants whose spread over the seeds is drawn


def draw(panels: Sequence[Panel]) -> Figure:
    shown = looks(curve.variant for panel in panels for curve in panel.curves)
    names = dict.fromkeys(curve.title for panel in panels for curve in panel.curves)
    return in_rows(panels, 2.0, "error rate, %", partial(_panel, shown), list(names))


def _panel(look_of: Mapping[str, Look], ax: Axes, panel: Panel) -> None:
    ax.set_title(panel.title, loc="left")
    if not panel.curves:
        message(ax, "scores missing")
        return
    for curve in panel.curves:
        coverage, mean, spread = _over_seeds(curve.runs)
        shown = look_of[curve.variant]
        ax.plot(coverage, mean, color=shown.color, ls=shown.line, label=curve.title)
        if curve.variant in panel.banded and len(curve.runs) > 1:
            ax.fill_between(coverage, mean - spread, mean + spread, color=shown.color, alpha=0.15, lw=0)
    ax.set_xlim(0, 100)
    ax.set_ylim(bottom=0)
    ax.set_xlabel("coverage, %")


def _over_seeds(runs: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Coverage, mean risk and its standard deviation over seeds (ddof 1), in per cent, at up to _POINTS coverages."""
    coverage = risk_coverage(*runs[0])[0]
    risks = np.stack([risk_coverage(score, error)[1] for score, error in runs])
    first = np.searchsorted(coverage, LEAST)
    positions = np.unique(np.linspace(first, len(coverage) - 1, _POINTS).round().astype(int))
    spread = risks.std(axis=0, ddof=1) if len(runs) > 1 else np.zeros(len(coverage))
    return 100 * coverage[positions], 100 * risks.mean(axis=0)[positions], 100 * spread[positions]
