"""The paper's findings as rules: what has to be measured for one to hold, and what was.

LoRA ensembles, arXiv 2402.12264, section 7. The paper reads its findings off figures and names no thresholds: every
number below is this report's choice, and is printed with the verdicts.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple, get_args

import numpy as np

from peftuq.report.ensembles.traces import Trace

Answer = Literal["holds", "does not hold", "cannot be said", "does not apply"]
ANSWERS = HOLDS, FAILS, UNKNOWN, ELSEWHERE = get_args(Answer)

SMALL = 5  # members that the paper finds enough
NLL_TOLERANCE = 0.05  # of the large ensemble's NLL
NATS_TOLERANCE = 0.02  # of log C: for mean entropy and mean mutual information
FEWEST = 10  # answers of a kind below which their mean is not judged
KEPT = 0.5  # of the mutual information at the best epoch
TRAINED, STEM, SOCIAL = "csqa", "mmlu_stem", "mmlu_social"
NORMAL_95 = 1.96


class Verdict(NamedTuple):
    """The verdict of one claim on the evaluation sets `on`; `measured`: the numbers that decided, or why none are."""

    on: str
    answer: Answer
    measured: str


class Difference(NamedTuple):
    """mean(a) − mean(b) with its 95 % interval (normal, variances apart)."""

    estimate: float
    low: float
    high: float


def difference(a: np.ndarray, b: np.ndarray) -> Difference:
    """The difference of two independent samples (N,) and (K,), of at least two values each."""
    estimate = float(a.mean() - b.mean())
    half = NORMAL_95 * math.sqrt(a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b))
    return Difference(estimate, estimate - half, estimate + half)


def _sign(differences: Sequence[Difference]) -> Answer:
    """Judge by the intervals whether all are above zero, one is below, or neither."""
    if any(d.high <= 0 for d in differences):
        return FAILS
    return HOLDS if all(d.low > 0 for d in differences) else UNKNOWN


# -- a small ensemble is enough -----------------------------------------------------------------------------


def size_is_enough(trace: Trace) -> list[Verdict]:
    """M = 5 (or the second largest size) gives the NLL, entropy and mutual information of the largest ensemble.

    On every test and shift set, after every epoch, and for every disjoint ensemble of the small size.
    """
    on = _named(trace, trace.evals)
    pair = _sizes(trace)
    if pair is None:
        why = f"sizes {', '.join(map(str, trace.sizes))}: needs two ensembles of different size above 1"
        return [Verdict(on, UNKNOWN, why)]
    small, large = pair
    worst = {metric: max(_gaps(trace, metric, small, large)) for metric in ("nll", "entropy", "mutual_information")}
    within = worst["nll"][0] <= NLL_TOLERANCE and all(
        worst[metric][0] <= NATS_TOLERANCE for metric in ("entropy", "mutual_information")
    )
    gaps = [
        f"{name} {100 * gap:.1f} % ({trace.title(part)}, epoch {epoch})"
        for name, (gap, part, epoch) in zip(("NLL", "entropy", "MI"), worst.values(), strict=True)
    ]
    return [Verdict(on, HOLDS if within else FAILS, f"M = {small} against {large}; largest gaps: {', '.join(gaps)}")]


def _sizes(trace: Trace) -> tuple[int, int] | None:
    """The small ensemble and the large one."""
    several = [size for size in trace.sizes if size > 1]
    if len(several) < 2:
        return None
    return (SMALL if SMALL in several[:-1] else several[-2]), several[-1]


def _gaps(trace: Trace, metric: str, small: int, large: int) -> Iterator[tuple[float, str, int]]:
    """The largest gap of a small ensemble to the large one: of its NLL, or of log C for what is in nats."""
    for part in trace.labelled if metric == "nll" else trace.evals:
        for epoch in trace.epochs:
            of_large = trace.ensembles(metric, part, epoch, large)[0]
            unit = of_large if metric == "nll" else math.log(trace.options[part])
            gap = np.abs(trace.ensembles(metric, part, epoch, small) - of_large).max()
            # An NLL of 0 is met exactly or not at all.
            yield float(gap / unit) if unit else (math.inf if gap else 0.0), part, epoch


# -- wrong answers keep high mutual information ---------------------------------------------------------------


def wrong_answers_stay_uncertain(trace: Trace) -> list[Verdict]:
    """On each test and shift set, after every epoch past the best validation NLL: wrong answers have more mutual
    information than right ones, and after the last at least `KEPT` of what they had at the best."""
    past = [epoch for epoch in trace.epochs if epoch > trace.best_epoch]
    if not past:
        why = f"no overfitting: the validation NLL is lowest after the last epoch recorded, {trace.best_epoch}"
        return [Verdict(_named(trace, trace.labelled), UNKNOWN, why)]
    return [_wrong_on(trace, part, past) for part in trace.labelled]


def _wrong_on(trace: Trace, part: str, past: Sequence[int]) -> Verdict:
    kinds = {}
    for epoch in (trace.best_epoch, *past):
        found = trace.answers(part, epoch)
        kinds[epoch] = tuple(found.mutual_information[of] for of in (~found.correct, found.correct))
    fewest = min(len(kind) for both in kinds.values() for kind in both)
    if fewest < FEWEST:
        return Verdict(trace.title(part), UNKNOWN, f"only {fewest} wrong or right answers after some epoch")
    kept = difference(kinds[past[-1]][0], KEPT * kinds[trace.best_epoch][0])
    answer = _sign([*(difference(*kinds[epoch]) for epoch in past), kept])
    before = float(kinds[trace.best_epoch][0].mean())
    wrong, right = (float(kind.mean()) for kind in kinds[past[-1]])
    smallest = min((difference(*kinds[epoch]) for epoch in past), key=lambda d: d.low)
    return Verdict(
        trace.title(part),
        answer,
        f"mean MI of wrong / right answers {wrong:.3f} / {right:.3f} after epoch {past[-1]}; wrong at the best "
        f"(epoch {trace.best_epoch}): {before:.3f}, {100 * KEPT:.0f} % of it left with {_printed(kept)} to spare; "
        f"least difference past it {_printed(smallest)}",
    )


# -- one shift stays uncertain, another does not ----------------------------------------------------------------


def stem_stays_uncertain(trace: Trace) -> list[Verdict]:
    """After every epoch STEM questions have more entropy than those on social science, and lose less of it from the
    first to the last."""
    if trace.dataset != TRAINED or not {STEM, SOCIAL} <= set(trace.evals):
        return [Verdict("–", ELSEWHERE, f"needs {TRAINED} evaluated on {STEM} and {SOCIAL}")]
    return [_stays_uncertain(trace, STEM, SOCIAL)]


def hardest_stays_uncertain(trace: Trace) -> list[Verdict]:
    """The same rule for the shift set with the lowest accuracy after the last epoch, against the one with the highest
    (or the test split, where there is one shift set)."""
    shifts = [part for part in trace.labelled if part != "test"]
    if not shifts:
        return [Verdict("–", ELSEWHERE, "no shift set with labels")]
    last = trace.epochs[-1]
    accuracy = {part: trace.answers(part, last).correct.mean() for part in shifts}
    hardest = min(shifts, key=accuracy.__getitem__)
    if len(shifts) > 1 and accuracy[hardest] == max(accuracy.values()):
        return [Verdict(_named(trace, shifts), UNKNOWN, "all shift sets are equally hard")]
    easiest = max(shifts, key=accuracy.__getitem__) if len(shifts) > 1 else "test"
    return [_stays_uncertain(trace, hardest, easiest)]


def _stays_uncertain(trace: Trace, one: str, other: str) -> Verdict:
    on, first, last = _named(trace, (one, other)), trace.epochs[0], trace.epochs[-1]
    entropy = {part: {e: trace.answers(part, e).entropy for e in trace.epochs} for part in (one, other)}
    if min(len(by_epoch[first]) for by_epoch in entropy.values()) < FEWEST:
        return Verdict(on, UNKNOWN, f"fewer than {FEWEST} answers")
    means = {part: tuple(float(entropy[part][e].mean()) for e in (first, last)) for part in entropy}
    courses = "; ".join(f"{trace.title(part)} {before:.3f} → {after:.3f}" for part, (before, after) in means.items())
    if first == last:
        alone = ", ".join(f"{trace.title(part)} {mean:.3f}" for part, (mean, _) in means.items())
        return Verdict(on, UNKNOWN, f"a single epoch shows no course; mean entropy: {alone}")
    more = [difference(entropy[one][epoch], entropy[other][epoch]) for epoch in trace.epochs]
    lost = {part: by_epoch[first] - by_epoch[last] for part, by_epoch in entropy.items()}
    less_lost = difference(lost[other], lost[one])
    least = min(more, key=lambda d: d.low)
    measured = (
        f"mean entropy from epoch {first} to {last}: {courses}; least difference {_printed(least)}; "
        f"{trace.title(other)} loses {_printed(less_lost)} more"
    )
    return Verdict(on, _sign([*more, less_lost]), measured)


def _named(trace: Trace, parts: Sequence[str]) -> str:
    return ", ".join(map(trace.title, parts))


def _printed(d: Difference) -> str:
    return " ".join((f"{d.estimate:.3f}", f"[{d.low:.3f}, {d.high:.3f}]")).replace("-", "−")
