"""Findings on UQ4CT as sentences that the tables prove, and whether the paper agrees."""

from collections.abc import Iterator, Sequence

import numpy as np

from peftuq.cells import PREDICTION
from peftuq.report.run import OverSeeds, Run
from peftuq.report.uq4ct import ablations, cost, methods, paper
from peftuq.report.uq4ct.methods import METRICS, Evaluation, Method
from peftuq.report.uq4ct.recipes import Task
from peftuq.report.words import counted, signed

CLAIM = 25  # per cent: by so much, the paper says, is its ECE lower on average
CHOICE = "choice task"
UQ4CT = Method("uq4ct", "point", "UQ4CT", "UQ4CT")
BASELINES = (
    Method("lora", "point", "LoRA", "LoRA"),
    Method("mixlora", "point", "MixLoRA", "MixLoRA"),
    Method("lora", "temperature", "LoRA after temperature scaling"),
)


def findings(run: Run, tasks: Sequence[Task]) -> list[str]:
    """One sentence a question, of those that the run can answer."""
    choice = list(map(Evaluation, paper.of_kind(run, tasks, "choice")))
    other = list(map(Evaluation, paper.of_kind(run, tasks, "classification")))
    found = [_completeness(run, tasks)]
    for evaluations, kind in ((choice, CHOICE), (other, "classification task")):
        found += [_calibration(run, evaluations, baseline, kind) for baseline in BASELINES]
    found += [_shift(run, tasks), *_beta(run, tasks), _incremental(run, choice), _active(run, tasks)]
    found += [_flu(run, [*choice, *other]), _cost(run, tasks), _paper(run, tasks)]
    return [sentence for sentence in found if sentence]


def _completeness(run: Run, tasks: Sequence[Task]) -> str:
    every = methods.present(run, tasks)
    found = [methods.measure(run, one, m, "ece_15") for one in paper.evaluations(run, tasks) for m in every]
    requested = [over for over in found if over.requested]
    gaps = sum(len(over.missing) + len(over.undefined) for over in requested)
    complete = "all are there" if not gaps else f"{gaps} of their values (one a seed) are missing; the tables mark them"
    study = f"{counted(len(tasks), 'task')}, {counted(len(requested), 'calibration error')}"
    return f"UQ4CT study: {study} asked for; {complete}."


def _pairs(
    run: Run, evaluations: Sequence[Evaluation], metric: str, ours: tuple[Method, str], theirs: tuple[Method, str]
) -> list[tuple[OverSeeds, OverSeeds]]:
    """A metric of two (method, variant), at the evaluations where both have a value."""
    both = [
        tuple(methods.measure(run, evaluation, m, metric, variant) for m, variant in (ours, theirs))
        for evaluation in evaluations
    ]
    return [(a, b) for a, b in both if a.mean is not None and b.mean is not None]


def _averages(pairs: Sequence[tuple[OverSeeds, OverSeeds]]) -> tuple[float, float]:
    """The average of both sides' means, in per cent."""
    return tuple(100 * float(np.mean([pair[side].mean for pair in pairs])) for side in (0, 1))


def _clearly(low: OverSeeds, high: OverSeeds) -> bool:
    """Test whether one mean is below the other by more than their standard deviations over the seeds together."""
    return low.std is not None and high.std is not None and high.mean - low.mean > low.std + high.std


def _calibration(run: Run, evaluations: Sequence[Evaluation], baseline: Method, where: str) -> str:
    both = ((UQ4CT, PREDICTION), (baseline, PREDICTION))
    eces, accuracies = (_pairs(run, evaluations, metric, *both) for metric in ("ece_15", "accuracy"))
    if not eces or not accuracies:
        return ""
    lower, clearly = sum(a.mean < b.mean for a, b in eces), sum(_clearly(a, b) for a, b in eces)
    ours, theirs = _averages(eces)
    reduction = 100 * (1 - ours / theirs) if theirs else 0.0
    of_ours, of_theirs = _averages(accuracies)
    gain = of_ours - of_theirs
    sentence = (
        f"UQ4CT’s ECE is below that of {baseline.title} in {lower} of {counted(len(eces), where)} (by more than both "
        f"standard deviations in {clearly}): {ours:.1f} against {theirs:.1f} on average "
        f"({abs(reduction):.0f} % {'lower' if reduction > 0 else 'higher'}), with {signed(gain)} points of accuracy."
    )
    if not baseline.paper:
        return f"{sentence} The paper leaves this baseline out."
    return f"{sentence} {_verdict(reduction, gain)}" if where == CHOICE else f"{sentence} The paper has no such task."


def _verdict(reduction: float, gain: float) -> str:
    claim = f"the paper’s claim (over {CLAIM} % lower, accuracy kept)"
    if reduction > CLAIM and gain > -1:
        return f"This agrees with {claim}."
    return f"This agrees with {claim} in part." if reduction > 0 else f"This contradicts {claim}."


def _shift(run: Run, tasks: Sequence[Task]) -> str:
    compared = [m for m in methods.present(run, tasks) if m.paper and m.role != "uq4ct_last"]
    lowest = total = 0
    gaps = []
    for task in tasks:
        for on in paper.shift_sets(run, task):
            found = {m: methods.measure(run, Evaluation(task, on), m, "ece_15").mean for m in compared}
            eces = {m: value for m, value in found.items() if value is not None}
            others = [value for m, value in eces.items() if m.role != "uq4ct"]
            ours = next((value for m, value in eces.items() if m.role == "uq4ct"), None)
            if ours is not None and others:
                total, lowest = total + 1, lowest + (ours < min(others))
                gaps.append(100 * (ours - min(others)))
    if not total:
        return ""
    return (
        f"Under shift UQ4CT has the lowest ECE of the compared methods on {lowest} of {counted(total, 'shifted set')} "
        f"({signed(float(np.mean(gaps)))} points to the best other, on average); in the paper on all of its six: "
        f"{'this agrees' if lowest == total else 'this agrees in part' if lowest else 'this contradicts it'}."
    )


def _beta(run: Run, tasks: Sequence[Task]) -> Iterator[str]:
    """A sentence a task: the error without the loss, at the paper's β = 1, and at its lowest."""
    for task, eces in _swept(run, tasks, ablations.BETA):
        if not {0, 1} < eces.keys():
            continue  # of these two alone the task with MixLoRA speaks
        without, at_one = eces[0], eces[1]
        best = min(eces, key=lambda value: eces[value].mean)
        verdict = "against the paper (12.9 and 5.0)"
        if at_one.mean < without.mean:
            clear = _clearly(at_one, without)
            verdict = f"as in the paper (12.9 and 5.0){'' if clear else ', but within the spread over the seeds'}"
        yield (
            f"β on {methods.title_of(run, task)}: ECE {100 * without.mean:.1f} at β = 0 and "
            f"{100 * at_one.mean:.1f} at β = 1, {verdict}; lowest ({100 * eces[best].mean:.1f}) at β = {best:g}."
        )


def _swept(run: Run, tasks: Sequence[Task], factor: ablations.Factor) -> Iterator[tuple[Task, dict[float, OverSeeds]]]:
    """Tasks with their ECE by the factor's value."""
    for task in ablations.swept(run, tasks, factor):
        # Reversed, so that of two recipes with one value the first counts.
        points = reversed(ablations.labelled(task.sweeps[factor.key]).values())
        found = {point.value: ablations.number(run, point, "ece_15") for point in points}
        yield task, {value: over for value, over in found.items() if over.mean is not None}


def _incremental(run: Run, evaluations: Sequence[Evaluation]) -> str:
    growing = Method("incremental", "point", "", "UQ4CT_Incremental")
    eces = _pairs(run, evaluations, "ece_15", (UQ4CT, PREDICTION), (growing, PREDICTION))
    if not eces:
        return ""
    worse = sum(theirs.mean > ours.mean for ours, theirs in eces)
    return (
        f"A growing β gives a higher ECE than β = 1 throughout in {worse} of {counted(len(eces), 'task')}; in the "
        f"paper in all five: {'this agrees' if worse == len(eces) else 'this does not agree throughout'}."
    )


def _active(run: Run, tasks: Sequence[Task]) -> str:
    found = [eces for _, eces in _swept(run, tasks, ablations.TOP_K) if len(eces) > 1]
    best = [min(eces, key=lambda value: eces[value].mean) for eces in found]
    if not best:
        return ""
    counts = ", ".join(f"K = {value:g} in {best.count(value)}" for value in sorted(set(best)))
    return f"Active experts with the lowest ECE, over {counted(len(best), 'task')}: {counts}; in the paper K = 2."


def _flu(run: Run, evaluations: Sequence[Evaluation]) -> str:
    """FLU as what the paper's Proposition 3.2 makes of it, against the probability that is there anyway."""
    both = [
        (
            methods.measure(run, evaluation, UQ4CT, "error_ece_15", "flu_mean"),
            methods.measure(run, evaluation, UQ4CT, "ece_15"),
        )
        for evaluation in evaluations
    ]
    eces = [(a, b) for a, b in both if a.mean is not None and b.mean is not None]
    aurocs = _pairs(run, evaluations, "auroc", (UQ4CT, "flu_mean"), (UQ4CT, "sr"))
    if not eces or not aurocs:
        return ""
    lower, higher = sum(a.mean < b.mean for a, b in eces), sum(a.mean > b.mean for a, b in aurocs)
    (ece, ece_of_p), (auroc, auroc_of_p) = _averages(eces), _averages(aurocs)
    return (
        f"FLU itself, read as UQ4CT’s confidence, has a lower ECE than the answer’s probability in {lower} of "
        f"{counted(len(eces), 'task')} ({ece:.1f} against {ece_of_p:.1f} on average) and ranks errors better in "
        f"{higher} of {len(aurocs)} (error-AUROC {auroc:.1f} against {auroc_of_p:.1f}); the paper evaluates neither."
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
        f"{counted(len(times), 'task')}); the paper calls the overhead minimal and prints no task."
    )


def _paper(run: Run, tasks: Sequence[Task]) -> str:
    """The run's distance from the paper's numbers, where the tasks are the paper's."""
    gaps: dict[str, list[float]] = {metric: [] for metric in METRICS}
    for task in tasks:
        for evaluation in paper.evaluations(run, [task]):
            for method in methods.present(run, [task]):
                for metric, found in gaps.items():
                    printed = methods.papers(run, evaluation, method.paper, metric, paper.IN_DISTRIBUTION)
                    mean = methods.measure(run, evaluation, method, metric).mean
                    if printed is not None and mean is not None:
                        found.append(abs(100 * mean - printed.mean))
    if not gaps["ece_15"]:
        return "No task of this run is one of the UQ4CT paper’s own, so its numbers stand beside none of ours."
    return (
        f"Where model and data are the UQ4CT paper’s, our numbers differ from its by {np.mean(gaps['accuracy']):.1f} "
        f"points of accuracy and {np.mean(gaps['ece_15']):.1f} of ECE on average, over {len(gaps['ece_15'])} pairs."
    )
