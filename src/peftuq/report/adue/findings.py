"""Findings on AdUE as sentences that the tables prove: nothing here is known beforehand."""

from collections.abc import Sequence

import numpy as np

from peftuq.cells import PREDICTION, Setting
from peftuq.report.adue.paper import paper_auroc
from peftuq.report.adue.rivals import adue_against_baselines
from peftuq.report.comparison import Difference
from peftuq.report.headings import Headings
from peftuq.report.intervals import Pair, compared
from peftuq.report.methods import EVERY, title
from peftuq.report.run import Run
from peftuq.report.words import counted, signed


def findings(run: Run, settings: Sequence[Setting]) -> list[str]:
    """One sentence a question, of those that the run can answer."""
    questions = (_completeness, _against_best, _temperature, _paper)
    return [sentence for question in questions if (sentence := question(run, settings))]


def _completeness(run: Run, settings: Sequence[Setting]) -> str:
    pairs = sum(1 for setting in settings for method in EVERY if run.seeds(setting, method.predictive, method.variant))
    over = [run.over_seeds(s, "auroc", m.variant, m.predictive) for s in settings for m in EVERY]
    missing, undefined = sum(len(o.missing) for o in over), sum(len(o.undefined) for o in over)
    if not missing and not undefined:
        return f"AdUE study: {counted(len(settings), 'setting')}; every error-AUROC that was asked for is there."
    return (
        f"AdUE study: of {pairs} pairs of setting and method in the paper’s tables, {missing} error-AUROCs (one a "
        f"seed) are missing and {undefined} undefined; the tables mark them."
    )


ABOVE, BELOW, LEVEL = "ranks above", "ranks below", "is not distinguishable from"


def side(d: Difference) -> str:
    """ABOVE, BELOW or LEVEL, as the interval says."""
    if d.low > 0:
        return ABOVE
    return BELOW if d.high < 0 else LEVEL


def points(d: Difference) -> str:
    """The difference with its interval, in points of AUROC."""
    return f"{signed(100 * d.estimate)} points [{signed(100 * d.low)}, {signed(100 * d.high)}]"


def _against_best(run: Run, settings: Sequence[Setting]) -> str:
    """AdUE minus the best baseline on the test splits."""
    found = [d for s in settings if (c := run.comparison(s)) and (d := adue_against_baselines(run, c))]
    if not found:
        return ""
    best = "of all scores but AdUE’s own"
    if len(found) == 1:
        level = ", not distinguishable" if side(found[0]) == LEVEL else ""
        baseline = f"{best}: {title(found[0].other)}"
        return f"AdUE’s error-AUROC minus its best baseline’s ({baseline}): {points(found[0])}{level}."
    gaps, sides = [100 * d.estimate for d in found], [side(d) for d in found]
    span = f"{signed(min(gaps))} to {signed(max(gaps))} points (median {signed(float(np.median(gaps)))})"
    return (
        f"Against the best baseline of each of {counted(len(found), 'setting')} ({best}) AdUE’s error-AUROC differs "
        f"by {span}; the paired 95 % interval lies above zero in {sides.count(ABOVE)}, below zero in "
        f"{sides.count(BELOW)}, and holds zero, not distinguishable, in {sides.count(LEVEL)}."
    )


def _temperature(run: Run, settings: Sequence[Setting]) -> str:
    found = _compared(run, settings, "ece_15", (PREDICTION, "temperature"), (PREDICTION, "point"))
    return found and f"Temperature scaling changes the predictions’ ECE-15 by {found}."


def _compared(run: Run, settings: Sequence[Setting], metric: str, a: tuple[str, str], b: tuple[str, str]) -> str:
    return compared(values_of_both(run, settings, metric, a, b))


def values_of_both(
    run: Run, settings: Sequence[Setting], metric: str, a: tuple[str, str], b: tuple[str, str]
) -> list[Pair]:
    """A metric of two (variant, predictive), in the settings where both have a value."""
    pairs = [(run.over_seeds(s, metric, *a), run.over_seeds(s, metric, *b)) for s in settings]
    return [(x, y) for x, y in pairs if x.values and y.values]


def _paper(run: Run, settings: Sequence[Setting]) -> str:
    """The run's distance from the paper's numbers, where the settings are the paper's."""
    gaps = [
        (100 * over.mean - printed.mean, 100 * (over.std or 0.0) + (printed.std or 0.0), method, setting)
        for setting in settings
        for method in EVERY
        if (printed := paper_auroc(run, setting, method))
        and (over := run.over_seeds(setting, "auroc", method.variant, method.predictive)).mean is not None
    ]
    if not gaps:
        return "No setting of this run is one of the paper’s own, so only ranks stand beside the paper’s."
    number = len({setting for *_, setting in gaps})
    gap, spread, method, setting = max(gaps, key=lambda found: abs(found[0]))
    apart = sum(abs(g) > s for g, s, *_ in gaps)
    return (
        f"In {counted(number, 'setting')} model and dataset are the paper’s: there our error-AUROC differs "
        f"from its by {np.mean([abs(g) for g, *_ in gaps]):.1f} points on average over {len(gaps)} numbers, in {apart} "
        f"by more than both standard deviations over seeds together; at most by {signed(gap)} ± {spread:.1f} "
        f"({method.title}, {Headings(run, settings).setting(setting)})."
    )
