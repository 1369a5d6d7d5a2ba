"""Claims of the UQ4CT paper, judged by this run's intervals."""

from collections.abc import Sequence

from peftuq.cells import PREDICTION
from peftuq.report.intervals import compared, gap
from peftuq.report.run import Run
from peftuq.report.uq4ct import ablations, findings, paper
from peftuq.report.uq4ct.approaches import Approach, Evaluation
from peftuq.report.uq4ct.findings import BASELINES, CHOICE, CLAIM, SHIFTED, TASK, UQ4CT
from peftuq.report.uq4ct.recipes import Task
from peftuq.report.verdicts import FAILS, HOLDS, IN_PART, NOT_RUN, UNKNOWN, Answer, Checked, judged
from peftuq.report.words import counted


def claims(run: Run, tasks: Sequence[Task]) -> list[Checked]:
    """One verdict a claim."""
    choice = list(map(Evaluation, paper.of_kind(run, tasks, "choice")))
    return [
        *(_calibration(run, choice, baseline) for baseline in BASELINES if baseline.paper),
        _shift(run, tasks),
        _beta(run, tasks),
        _incremental(run, choice),
        _active(run, tasks),
    ]


def _calibration(run: Run, evaluations: Sequence[Evaluation], baseline: Approach) -> Checked:
    claim = f"UQ4CT’s ECE is over {CLAIM} % lower than that of {baseline.title}, its accuracy is kept"
    both = ((UQ4CT, PREDICTION), (baseline, PREDICTION))
    eces, accuracies = (findings.pairs(run, evaluations, metric, *both) for metric in ("ece_15", "accuracy"))
    error, gain = gap(eces), gap(accuracies)
    if error is None or gain is None:
        return Checked(claim, NOT_RUN, "no choice task has both")
    answer, reduction = judged(error, "lower"), findings.reduction(eces)
    if answer == HOLDS and not (reduction > CLAIM and gain.side() != "lower"):
        answer = IN_PART
    return Checked(claim, answer, f"ECE {compared(eces, CHOICE)}; accuracy {gain.text}, {gain.side()}")


def _shift(run: Run, tasks: Sequence[Task]) -> Checked:
    claim, pairs = "Under shift UQ4CT’s ECE is the lowest (on all its six shift sets)", findings.shifted(run, tasks)
    found = gap(pairs, SHIFTED)
    if found is None:
        return Checked(claim, NOT_RUN, "no shift set has UQ4CT beside another method")
    return Checked(claim, judged(found, "lower"), f"minus the best other, ECE {compared(pairs, SHIFTED)}")


def _beta(run: Run, tasks: Sequence[Task]) -> Checked:
    claim = "The calibration loss (β = 1) lowers the ECE of the same mixture without it (from 12.9 to 5.0)"
    pairs = [(eces[1], eces[0]) for _, eces in findings.swept(run, tasks, ablations.BETA) if {0, 1} <= eces.keys()]
    found = gap(pairs, TASK)
    if found is None:
        return Checked(claim, NOT_RUN, "no sweep of β")
    return Checked(claim, judged(found, "lower"), f"ECE {compared(pairs, TASK)}")


def _incremental(run: Run, evaluations: Sequence[Evaluation]) -> Checked:
    claim = "A growing β gives a higher ECE than β = 1 throughout (on all its five tasks)"
    pairs = findings.incremental(run, evaluations)
    found = gap(pairs, TASK)
    if found is None:
        return Checked(claim, NOT_RUN, "no task has both")
    return Checked(claim, judged(found, "higher"), f"ECE {compared(pairs, TASK)}")


def _active(run: Run, tasks: Sequence[Task]) -> Checked:
    claim, best = "Two active experts have the lowest ECE", findings.active(run, tasks)
    if not best:
        return Checked(claim, NOT_RUN, "no sweep of the active experts")
    agree, apart = best.count(2), sum(value not in (2, None) for value in best)
    answer: Answer = FAILS if apart else HOLDS if agree == len(best) else UNKNOWN
    measured = f"clearly lowest at K = 2 in {agree}, at another K in {apart} of {counted(len(best), TASK)}"
    return Checked(claim, answer, measured)
