"""Findings on AdUE as sentences that the tables prove: nothing here is known beforehand."""

from collections.abc import Sequence

import numpy as np

from peftuq.cells import PREDICTION, Setting
from peftuq.report.adue.paper import paper_auroc
from peftuq.report.beside_paper import ranked, requested
from peftuq.report.headings import Headings
from peftuq.report.methods import ADUE, EVERY, HEADLINE, SR
from peftuq.report.run import Run
from peftuq.report.words import counted, signed


def findings(run: Run, settings: Sequence[Setting]) -> list[str]:
    """One sentence a question, of those that the run can answer."""
    questions = (_completeness, _ranking, _against_best, _error_calibration, _temperature, _paper)
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


def _ranking(run: Run, settings: Sequence[Setting]) -> str:
    shown = requested(run, settings, HEADLINE)
    found = ranked(run, settings, shown) if len(shown) > 1 and ADUE in shown else None
    if found is None:
        return ""
    first = sum(of_setting[ADUE.key] == 1 for of_setting in found.cells.values())
    ordered = sorted(shown, key=lambda method: found.mean[method.key])
    ranks = ", ".join(f"{method.title} {found.mean[method.key]:.2f}" for method in ordered)
    return (
        f"By error-AUROC, AdUE ranks first of {len(shown)} methods in {first} of "
        f"{counted(len(found.cells), 'setting')}; average ranks (1 is best): {ranks}."
    )


def _against_best(run: Run, settings: Sequence[Setting]) -> str:
    """AdUE minus the best baseline on the test splits."""
    comparisons = [(run.comparison(setting) or {}).get("test") for setting in settings]
    differences = [d for found in comparisons if found and (d := found["difference"].get(ADUE.key))]
    if not differences:
        return ""
    points = [100 * d["estimate"] for d in differences]
    above, below = sum(d["low"] > 0 for d in differences), sum(d["high"] < 0 for d in differences)
    several = f" to {signed(max(points))} points (median {signed(float(np.median(points)))})"
    return (
        f"Against the best baseline of each of {counted(len(differences), 'setting')}, AdUE’s error-AUROC differs by "
        f"{signed(min(points))}{several if len(points) > 1 else ' points'}; the paired 95 % interval lies above zero "
        f"in {above} and below zero in {below}."
    )


def _error_calibration(run: Run, settings: Sequence[Setting]) -> str:
    pairs = _pairs(run, settings, "error_ece_15", (ADUE.variant, "point"), (SR.variant, "point"))
    if not pairs:
        return ""
    lower = sum(adue < sr for adue, sr in pairs)
    return (
        "Read as a probability of error, AdUE’s score has a lower calibration error (ECE-15) than the softmax "
        f"response in {lower} of {counted(len(pairs), 'setting')}."
    )


def _temperature(run: Run, settings: Sequence[Setting]) -> str:
    pairs = _pairs(run, settings, "ece_15", (PREDICTION, "temperature"), (PREDICTION, "point"))
    if not pairs:
        return ""
    lower = sum(after < before for after, before in pairs)
    return f"Temperature scaling lowers the predictions’ ECE-15 in {lower} of {counted(len(pairs), 'setting')}."


def _pairs(
    run: Run, settings: Sequence[Setting], metric: str, a: tuple[str, str], b: tuple[str, str]
) -> list[tuple[float, float]]:
    """The means of two (variant, predictive), in the settings where both have one."""
    means = [(run.over_seeds(s, metric, *a).mean, run.over_seeds(s, metric, *b).mean) for s in settings]
    return [(x, y) for x, y in means if x is not None and y is not None]


def _paper(run: Run, settings: Sequence[Setting]) -> str:
    """The run's distance from the paper's numbers, where the settings are the paper's."""
    gaps = [
        (100 * mean - printed.mean, method, setting)
        for setting in settings
        for method in EVERY
        if (printed := paper_auroc(run, setting, method))
        and (mean := run.over_seeds(setting, "auroc", method.variant, method.predictive).mean) is not None
    ]
    if not gaps:
        return "No setting of this run is one of the paper’s own, so only ranks stand beside the paper’s."
    number = len({setting for _, _, setting in gaps})
    gap, method, setting = max(gaps, key=lambda found: abs(found[0]))
    return (
        f"In {counted(number, 'setting')} model and dataset are the paper’s: there our error-AUROC differs "
        f"from its by {np.mean([abs(g) for g, _, _ in gaps]):.1f} points on average over {len(gaps)} numbers, at most "
        f"by {signed(gap)} ({method.title}, {Headings(run, settings).setting(setting)})."
    )
