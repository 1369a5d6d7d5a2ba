"""The figures of the AdUE section: ranks, AUROC by method, reliability, risk and coverage."""

import textwrap
from collections.abc import Iterator, Sequence

import numpy as np

from peftuq.cells import Setting
from peftuq.report import reference
from peftuq.report.adue.paper import KIND_TITLES, of_kind, paper_auroc
from peftuq.report.figures import aurocs, coverage, ranks, reliability, style
from peftuq.report.headings import Headings
from peftuq.report.methods import ADUE, EVERY, HEADLINE, SR, Method
from peftuq.report.parts import Picture
from peftuq.report.requested import further, ranked, requested, with_scores
from peftuq.report.run import KINDS, Run
from peftuq.report.words import counted

PER_PAGE = 9  # panels


def ranks_figures(run: Run, settings: Sequence[Setting]) -> Iterator[Picture]:
    panels = []
    for kind in KINDS:
        here = of_kind(run, settings, kind)
        shown = requested(run, here, HEADLINE)
        if not shown:
            continue
        found = ranked(run, here, shown)
        ours = [found.mean[method.key] for method in shown] if found else None
        paper = [reference.adue_ranks()["Table 1", kind, method.paper] for method in shown]
        number = len(found.cells) if found else 0
        title = f"{KIND_TITLES[kind]}: {counted(number, 'setting')} here, 10 in the paper"
        # A paper's rank among five methods cannot stand beside one among fewer.
        panels.append(
            ranks.Ranked(title, [m.title for m in shown], ours, paper if len(shown) == len(HEADLINE) else None)
        )
    if panels:
        caption = (
            "Average rank by error-AUROC of the methods of the paper’s Table 1, ordered by this run’s. Ranks over "
            "few settings are coarse: compare positions, not decimals."
        )
        yield Picture("adue_ranks", "Average rank of each method.", caption, ranks.draw(panels))


def aurocs_figures(run: Run, settings: Sequence[Setting]) -> Iterator[Picture]:
    shown = with_scores(run, settings, EVERY)
    for suffix, part, page in style.pages(settings, PER_PAGE):
        panels = [_dots(run, setting, shown, _title(run, settings, setting)) for setting in page]
        caption = (
            "Error-AUROC ×100 on the test split: a ring a seed, a bar at their mean, a diamond at the paper’s mean "
            "where the setting is the paper’s own; scores of the adapter as trained. The panels’ axes differ."
        )
        yield Picture(
            f"adue_auroc{suffix}", f"Error detection by method and setting{part}.", caption, aurocs.draw(panels)
        )


def _dots(run: Run, setting: Setting, shown: Sequence[Method], title: str) -> aurocs.Dots:
    over = [run.over_seeds(setting, "auroc", method.variant, method.predictive) for method in shown]
    printed = [paper_auroc(run, setting, method) for method in shown]
    return aurocs.Dots(
        title,
        [method.title for method in shown],
        [[100 * value for value in found.values.values()] for found in over],
        [None if number is None else number.mean for number in printed],
    )


def reliability_figures(run: Run, settings: Sequence[Setting]) -> Iterator[Picture]:
    for suffix, part, page in style.pages(settings, PER_PAGE):
        diagrams = [reliability.Diagram(_title(run, settings, setting), _confidences(run, setting)) for setting in page]
        caption = (
            f"Share of correct predictions against the mean confidence 1 − U in {reliability.BINS} bins of equal "
            "width: U is the softmax response, AdUE, and any further score that is declared to be a probability of "
            "error; all seeds’ test examples pooled; below, how many "
            f"fall into each bin (hatched: softmax response; a hollow marker: fewer than {reliability.FEW}). On the "
            "diagonal a confidence means what it says; below it, it is too high."
        )
        yield Picture(
            f"adue_reliability{suffix}", f"Reliability of the confidence{part}.", caption, reliability.draw(diagrams)
        )


def _confidences(run: Run, setting: Setting) -> list[reliability.Confidence]:
    found = []
    likely = [method for method in further(run, [setting]) if method.variant in run.probabilities()]
    for method in (SR, ADUE, *likely):
        runs = _runs(run, setting, method)
        if runs:
            score, error = (np.concatenate(arrays) for arrays in zip(*runs, strict=True))
            found.append(reliability.Confidence(method.look, method.title, 1 - score, ~error))
    return found


def coverage_figures(run: Run, settings: Sequence[Setting]) -> Iterator[Picture]:
    for suffix, part, page in style.pages(settings, PER_PAGE):
        panels = [_panel(run, setting, _title(run, settings, setting)) for setting in page]
        caption = (
            "Error rate among the examples with the lowest scores, by the share of examples that are answered; mean "
            "over the seeds, for AdUE and the softmax response with a band of ± one standard deviation. Lower is "
            f"better; at 100 % every score meets the model’s error rate. From {100 * coverage.LEAST:.0f} % coverage "
            "on; scores of the adapter as trained. The panels’ axes differ."
        )
        yield Picture(f"adue_risk_coverage{suffix}", f"Risk against coverage{part}.", caption, coverage.draw(panels))


def _panel(run: Run, setting: Setting, title: str) -> coverage.Panel:
    found = ((method, _runs(run, setting, method)) for method in with_scores(run, [setting], HEADLINE))
    curves = [coverage.Curve(method.look, method.title, runs) for method, runs in found if runs]
    return coverage.Panel(title, curves, (ADUE.variant, SR.variant))


def _runs(run: Run, setting: Setting, method: Method) -> list[tuple[np.ndarray, np.ndarray]]:
    """A method's (score, error) on the test split, of every seed whose file is there."""
    found = []
    for seed in run.seeds(setting, method.predictive, method.variant):
        scores = run.scores(setting, seed, run.score_of(method.variant), method.predictive)
        if scores is not None:
            found.append((scores.variants[method.variant], scores.error))
    return found


def _title(run: Run, settings: Sequence[Setting], setting: Setting) -> str:
    heading = textwrap.wrap(Headings(run, settings).model(setting), 30, break_on_hyphens=False)
    return "\n".join([*heading, setting.dataset])
