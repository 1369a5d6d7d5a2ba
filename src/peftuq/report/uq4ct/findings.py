"""Findings on UQ4CT as sentences that the tables prove, and whether the paper agrees."""

from collections.abc import Iterator, Sequence

import numpy as np

from peftuq.cells import PREDICTION
from peftuq.report.intervals import Pair, compared, gap, means, paired
from peftuq.report.run import OverSeeds, Run
from peftuq.report.uq4ct import ablations, approaches, cost, paper
from peftuq.report.uq4ct.approaches import METRICS, Approach, Evaluation
from peftuq.report.uq4ct.recipes import Task
from peftuq.report.words import counted

CLAIM = 25  # per cent: by so much, the paper says, is its ECE lower on average
CHOICE, TASK, SHIFTED = "choice task", "task", "shifted set"
UQ4CT = Approach("uq4ct", "point", "UQ4CT", "UQ4CT")
BASELINES = (
    Approach("lora", "point", "LoRA", "LoRA"),
    Approach("mixlora", "point", "MixLoRA", "MixLoRA"),
    Approach("lora", "temperature", "LoRA after temperature scaling"),
)


def findings(run: Run, tasks: Sequence[Task]) -> list[str]:
    """One sentence a question, of those that the run can answer."""
    by_kind = {
        f"{kind} task": list(map(Evaluation, paper.of_kind(run, tasks, kind))) for kind in ("choice", "classification")
    }
    found = [_completeness(run, tasks)]
    for kind, evaluations in by_kind.items():
        # On choice tasks the paper claims something of its own baselines.
        found += [_calibration(run, evaluations, b, kind) for b in BASELINES if kind != CHOICE or not b.paper]
    found += [_flu(run, [one for some in by_kind.values() for one in some]), _cost(run, tasks), _paper(run, tasks)]
    return [sentence for sentence in found if sentence]


def _completeness(run: Run, tasks: Sequence[Task]) -> str:
    every = approaches.present(run, tasks)
    found = [approaches.measure(run, one, m, "ece_15") for one in paper.evaluations(run, tasks) for m in every]
    requested = [over for over in found if over.requested]
    gaps = sum(len(over.missing) + len(over.undefined) for over in requested)
    complete = "all are there" if not gaps else f"{gaps} of their values (one a seed) are missing; the tables mark them"
    study = f"{counted(len(tasks), 'task')}, {counted(len(requested), 'calibration error')}"
    return f"UQ4CT study: {study} asked for; {complete}."


def pairs(
    run: Run, evaluations: Sequence[Evaluation], metric: str, ours: tuple[Approach, str], theirs: tuple[Approach, str]
) -> list[Pair]:
    """A metric of two (method, variant), at the evaluations where both have a value."""
    both = [
        tuple(approaches.measure(run, evaluation, m, metric, variant) for m, variant in (ours, theirs))
        for evaluation in evaluations
    ]
    return [(a, b) for a, b in both if a.values and b.values]


def reduction(both: Sequence[Pair]) -> float:
    """Per cent by which the first of the pairs is lower, on average and over the seeds that both have."""
    ours, theirs = means(both)
    return 100 * (1 - ours / theirs) if theirs else 0.0


def _calibration(run: Run, evaluations: Sequence[Evaluation], baseline: Approach, where: str) -> str:
    both = ((UQ4CT, PREDICTION), (baseline, PREDICTION))
    eces, accuracies = (pairs(run, evaluations, metric, *both) for metric in ("ece_15", "accuracy"))
    error, gain = gap(eces), gap(accuracies)
    if error is None or gain is None:
        return ""
    lowered = reduction(eces)
    sentence = (
        f"UQ4CT’s ECE minus that of {baseline.title} is {compared(eces, where)} ({abs(lowered):.0f} % "
        f"{'lower' if lowered > 0 else 'higher'} in the mean); its accuracy differs by {gain.text}, "
        f"{gain.side()}."
    )
    return f"{sentence} The paper {'has no such task' if baseline.paper else 'leaves this baseline out'}."


def shifted(run: Run, tasks: Sequence[Task]) -> list[Pair]:
    """UQ4CT's ECE beside the best other method's, which is chosen by the same numbers, on every shifted set."""
    others = [m for m in approaches.present(run, tasks) if m.paper and m.role not in ("uq4ct", "uq4ct_last")]
    found = []
    for task in tasks:
        for on in paper.shift_sets(run, task):
            ours = approaches.measure(run, Evaluation(task, on), UQ4CT, "ece_15")
            rivals = [approaches.measure(run, Evaluation(task, on), m, "ece_15") for m in others]
            beside = [(ours, rival) for rival in rivals if paired(ours, rival)]
            if beside:
                found.append(max(beside, key=lambda pair: np.mean(paired(*pair))))
    return found


def swept(run: Run, tasks: Sequence[Task], factor: ablations.Factor) -> Iterator[tuple[Task, dict[float, OverSeeds]]]:
    """Tasks with their ECE by the factor's value."""
    for task in ablations.swept(run, tasks, factor):
        # Reversed, so that of two recipes with one value the first counts.
        points = reversed(ablations.labelled(task.sweeps[factor.key]).values())
        found = {point.value: ablations.number(run, point, "ece_15") for point in points}
        yield task, {value: over for value, over in found.items() if over.mean is not None}


def incremental(run: Run, evaluations: Sequence[Evaluation]) -> list[Pair]:
    """ECE of a growing β beside that of β = 1 throughout."""
    growing = Approach("incremental", "point", "", "UQ4CT_Incremental")
    return pairs(run, evaluations, "ece_15", (growing, PREDICTION), (UQ4CT, PREDICTION))


def active(run: Run, tasks: Sequence[Task]) -> list[float | None]:
    """On each task the number of active experts with the lowest ECE; None where the next is not clearly higher."""
    found: list[float | None] = []
    for _, eces in swept(run, tasks, ablations.TOP_K):
        if len(eces) > 1:
            best, following = sorted(eces, key=lambda value: eces[value].mean)[:2]
            apart = gap([(eces[best], eces[following])])
            found.append(best if apart is not None and apart.side() == "lower" else None)
    return found


def _flu(run: Run, evaluations: Sequence[Evaluation]) -> str:
    """FLU as what the paper's Proposition 3.2 makes of it, against the probability that is there anyway."""
    both = [
        (
            approaches.measure(run, evaluation, UQ4CT, "error_ece_15", "flu_mean"),
            approaches.measure(run, evaluation, UQ4CT, "ece_15"),
        )
        for evaluation in evaluations
    ]
    eces = compared([(a, b) for a, b in both if a.values and b.values], TASK)
    aurocs = compared(pairs(run, evaluations, "auroc", (UQ4CT, "flu_mean"), (UQ4CT, "sr")), TASK)
    if not eces or not aurocs:
        return ""
    return (
        f"FLU itself, read as UQ4CT’s confidence, has an ECE that differs from the answer’s probability’s by {eces}. "
        f"As a score of errors its error-AUROC differs from the softmax response’s by {aurocs}; the paper evaluates "
        "neither."
    )


def _cost(run: Run, tasks: Sequence[Task]) -> str:
    times = []
    for task in tasks:
        if {"uq4ct", "lora"} <= task.roles.keys():
            ours, plain = (cost.cost(run, task, method) for method in (UQ4CT, BASELINES[0]))
            if ours.training and plain.training:
                times.append(ours.training / plain.training)
    if not times:
        return ""
    return (
        f"Training UQ4CT took {float(np.median(times)):.1f} times as long as the LoRA of the same task (median over "
        f"{counted(len(times), TASK)}, from {min(times):.1f} to {max(times):.1f}); the paper calls the overhead "
        "minimal and prints no number."
    )


def _paper(run: Run, tasks: Sequence[Task]) -> str:
    """The run's distance from the paper's numbers, where the tasks are the paper's."""
    gaps: dict[str, list[float]] = {metric: [] for metric in METRICS}
    apart = 0
    for task in tasks:
        for evaluation in paper.evaluations(run, [task]):
            for method in approaches.present(run, [task]):
                for metric, found in gaps.items():
                    printed = approaches.papers(run, evaluation, method.paper, metric, paper.IN_DISTRIBUTION)
                    over = approaches.measure(run, evaluation, method, metric)
                    if printed is not None and over.mean is not None:
                        found.append(abs(100 * over.mean - printed.mean))
                        apart += found[-1] > 100 * (over.std or 0.0) + (printed.std or 0.0)
    if not gaps["ece_15"]:
        return "No task of this run is one of the UQ4CT paper’s own, so its numbers stand beside none of ours."
    return (
        f"Where model and data are the UQ4CT paper’s, our numbers differ from its by {np.mean(gaps['accuracy']):.1f} "
        f"points of accuracy and {np.mean(gaps['ece_15']):.1f} of ECE on average, over {len(gaps['ece_15'])} pairs; "
        f"{apart} of these {sum(map(len, gaps.values()))} numbers differ by more than both standard deviations."
    )
