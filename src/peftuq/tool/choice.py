"""Comparison of candidates on held-out rows, and the choice of one by a stated criterion.

Every candidate is measured on the same resamples of the rows. Of those that can be run without this library, the best
sets the mark; those whose difference from it has an interval (paired bootstrap, 95 %) that holds 0 cannot be told from
it, and of these the cheapest is picked: the fewest numbers to keep and work through, then the better estimate.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from peftuq.errors import UserError
from peftuq.metrics.bootstrap import resample_counts, resampled
from peftuq.metrics.detection import auroc
from peftuq.metrics.selective import aurc
from peftuq.strict import Strict
from peftuq.tool import calibration
from peftuq.tool.candidates import Candidate

RESAMPLES = 1000
LEVEL = 0.95


class Criterion(NamedTuple):
    """`metric` of (score, error); `calibrated`: of the P(wrong) that is cross-fitted from the score, in its place."""

    title: str
    metric: Callable[[np.ndarray, np.ndarray], float]
    sign: int  # 1: higher is better, -1: lower
    calibrated: bool = False


CRITERIA = {
    "error-detection": Criterion("error AUROC", auroc, 1),
    "selective-risk": Criterion("AURC", aurc, -1),
    "calibration": Criterion("log loss of P(wrong)", calibration.log_loss, -1, calibrated=True),
}


class Line(Strict):
    """A candidate in the comparison: `value` with its interval `low` to `high`, and how far it is behind the best that
    can be exported (`behind`, above 0 where worse, with its interval); `numbers`: what it would cost."""

    name: str
    value: float
    low: float
    high: float
    behind: float
    behind_low: float
    behind_high: float
    numbers: int
    exported: bool

    @property
    def is_tied(self) -> bool:
        return self.behind_low <= 0


class Choice(NamedTuple):
    """`lines`: the best first; `stability`: share of resamples in which the picked one is no worse than the mark."""

    picked: Candidate
    lines: list[Line]
    stability: float
    reason: str


def choose(candidates: Sequence[Candidate], part: str, purpose: str, seed: int) -> Choice:
    """The candidate for a purpose, one of `CRITERIA`. Raises `UserError` where all answers are right, or all wrong."""
    criterion = CRITERIA[purpose]
    errors = candidates[0].source.error(part)
    if min(errors.sum(), (~errors).sum()) < 2:
        raise UserError(f"--data: of the {len(errors)} rows that are held out to choose a method, {errors.sum()} are "
                        "answered wrong: at least two wrong and two right ones are needed: give more rows")  # fmt: skip
    counts = resample_counts(len(errors), RESAMPLES, seed)
    values, drawn, kept = [], [], []
    for one in candidates:
        error = one.source.error(part)
        score = one.values[part]
        if criterion.calibrated:
            score = calibration.cross_fitted(calibration.logistic, score, error, seed)
        try:
            values.append(float(criterion.metric(score, error)))
        except ArithmeticError:  # a source that changes answers may have none wrong
            continue
        kept.append(one)
        drawn.append(criterion.sign * resampled(criterion.metric, score, error, counts))
    candidates = kept
    better, resamples = criterion.sign * np.array(values), np.stack(drawn)
    mark = max((i for i, one in enumerate(candidates) if one.exported), key=lambda i: better[i])
    lines = [_line(one, i, mark, better, resamples, criterion.sign) for i, one in enumerate(candidates)]
    tied = [i for i, line in enumerate(lines) if line.exported and line.is_tied]
    picked = min(tied, key=lambda i: (candidates[i].numbers, -better[i], i))
    behind = resamples[mark] - resamples[picked]
    stability = float((behind[~np.isnan(behind)] <= 0).mean())  # where both are defined
    reason = _reason(lines[picked], lines[mark], len(tied), criterion, len(errors))
    order = sorted(range(len(lines)), key=lambda i: (-better[i], i))
    return Choice(candidates[picked], [lines[i] for i in order], stability, reason)


def _line(one: Candidate, i: int, mark: int, better: np.ndarray, resamples: np.ndarray, sign: int) -> Line:
    ends = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
    low, high = sorted(sign * np.nanquantile(resamples[i], ends))
    behind_low, behind_high = np.nanquantile(resamples[mark] - resamples[i], ends) if i != mark else (0.0, 0.0)
    return Line(
        name=one.name, value=float(sign * better[i]), low=float(low), high=float(high),
        behind=float(better[mark] - better[i]), behind_low=float(behind_low), behind_high=float(behind_high),
        numbers=one.numbers, exported=one.exported,
    )  # fmt: skip


def _reason(picked: Line, mark: Line, tied: int, criterion: Criterion, rows: int) -> str:
    if picked.name == mark.name and tied == 1:
        return f"{picked.name} has the best {criterion.title} on {rows} held-out rows, beyond the luck of the rows."
    if picked.name == mark.name:
        return (
            f"{picked.name} has the best {criterion.title} on {rows} held-out rows, and is the cheapest of the {tied} "
            "that these rows cannot tell apart."
        )
    return (
        f"{mark.name} has the best {criterion.title} on {rows} held-out rows, but {tied} methods cannot be told from "
        f"it; {picked.name} is the cheapest of them, {picked.behind:.3f} [{picked.behind_low:.3f}, "
        f"{picked.behind_high:.3f}] behind."
    )
