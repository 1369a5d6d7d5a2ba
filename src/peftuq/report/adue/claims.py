"""Claims of the AdUE paper, judged by this run's intervals."""

from collections.abc import Sequence

from peftuq.cells import Setting
from peftuq.report.adue.findings import ABOVE, BELOW, LEVEL, points, side, values_of_both
from peftuq.report.comparison import Difference
from peftuq.report.intervals import compared, gap
from peftuq.report.methods import ABLATIONS, ADUE, HEADLINE, SR, Method, title
from peftuq.report.run import Run
from peftuq.report.verdicts import FAILS, HOLDS, NOT_RUN, UNKNOWN, Answer, Checked, judged
from peftuq.report.words import counted


def claims(run: Run, settings: Sequence[Setting]) -> list[Checked]:
    """One verdict a claim."""
    return [
        _best("AdUE finds errors better than the softmax response and the distances", run, settings, HEADLINE),
        _calibration(run, settings),
        _best("AdUE’s whole loss finds errors better than its parts", run, settings, ABLATIONS),
    ]


def _best(claim: str, run: Run, settings: Sequence[Setting], among: Sequence[Method]) -> Checked:
    """AdUE against the best of some other scores, in every setting."""
    keys = [method.key for method in among]
    found = [d for setting in settings if (c := run.comparison(setting)) and (d := c.best_other(ADUE.key, keys))]
    if not found:
        return Checked(claim, NOT_RUN, "no setting has AdUE beside another of these scores")
    return Checked(claim, _answer(found), _measured(found))


def _answer(found: Sequence[Difference]) -> Answer:
    """Judge by the intervals: all above zero, one below, or neither."""
    sides = [side(d) for d in found]
    if BELOW in sides:
        return FAILS
    return HOLDS if set(sides) == {ABOVE} else UNKNOWN


def _measured(found: Sequence[Difference]) -> str:
    if len(found) == 1:
        return f"against the best other, {title(found[0].other)}, error-AUROC {points(found[0])}"
    counts = {word: sum(side(d) == s for d in found) for word, s in (("above", ABOVE), ("below", BELOW))}
    level = sum(side(d) == LEVEL for d in found)
    each = f" ({'; '.join(f'{title(d.other)}: {points(d)}' for d in found)})" if len(found) < 3 else ""
    return (
        f"against the best other of each of {counted(len(found), 'setting')}, error-AUROC above in {counts['above']}, "
        f"below in {counts['below']}, not distinguishable in {level}{each}"
    )


def _calibration(run: Run, settings: Sequence[Setting]) -> Checked:
    claim = "AdUE’s score is a better calibrated confidence than the softmax response"
    pairs = values_of_both(run, settings, "error_ece_15", (ADUE.variant, "point"), (SR.variant, "point"))
    found = gap(pairs)
    if found is None:
        return Checked(claim, NOT_RUN, "no setting has both")
    return Checked(claim, judged(found, "lower"), f"ECE-15 {compared(pairs)}")
