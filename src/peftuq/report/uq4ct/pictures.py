"""The figures of the UQ4CT section: the paper's Figure 3, shift, ablations, and the reliability of FLU."""

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby

import numpy as np

from peftuq.artifacts import Scores
from peftuq.cells import Setting
from peftuq.report.figures import bars, curves, reliability, style
from peftuq.report.headings import SPREAD
from peftuq.report.methods import MD_L2
from peftuq.report.parts import Picture
from peftuq.report.run import OverSeeds, Run
from peftuq.report.uq4ct import ablations, approaches, paper
from peftuq.report.uq4ct.approaches import METRICS, Approach, Evaluation
from peftuq.report.uq4ct.recipes import Task, mixture

LABELS = {"accuracy": "accuracy, %", "ece_15": "ECE, %"}
SHOWN = ("LoRA", "MC Drop", "Ensemble", "LA", "MixLoRA", "UQ4CT")  # the methods of the paper's Figure 3
MIXTURES = ("mixlora", "uq4ct", "uq4ct_last")
PER_PAGE = 3  # tasks, a row of panels each
_TASKS = [*style.LOOKS, "temperature", "mc_dropout", "untuned"]  # looks of their own for the tasks of one panel
_FAMILIES = {"LA": "laplace", "MC Drop": "mc_dropout", "Ensemble": "ensemble"}


def _drawn(run: Run, tasks: Sequence[Task]) -> list[Approach]:
    """The paper's methods, of several ensembles the largest, and the temperature that it leaves out."""
    every = approaches.present(run, tasks)
    last = {method.paper: method for method in every if method.paper in SHOWN and method.role != "uq4ct_last"}
    return [m for m in every if m in last.values() or (m.role, m.predictive) == ("lora", "temperature")]


def _look(method: Approach) -> str:
    """The name of its colour and line."""
    if method.predictive == "temperature":
        return "temperature"
    return _FAMILIES.get(method.paper, method.role)


def _numbers(over: Sequence[OverSeeds]) -> tuple[list[float | None], list[float | None]]:
    """Means and standard deviations, in per cent."""
    return (
        [None if found.mean is None else 100 * found.mean for found in over],
        [None if found.std is None else 100 * found.std for found in over],
    )


# -- in distribution and under shift -----------------------------------------------------------------------------


def figure3(run: Run, tasks: Sequence[Task]) -> Iterator[Picture]:
    """One a model: the tasks that it was trained on."""
    for model, of_model in groupby(tasks, key=lambda task: task.model):
        here = list(of_model)
        evaluations, shown = [Evaluation(task) for task in here], _drawn(run, here)
        measures = [
            bars.Measure(LABELS[metric], [_bars(run, evaluations, m, metric) for m in shown]) for metric in METRICS
        ]
        caption = (
            f"Accuracy and ECE (15 bins) on the test split, {SPREAD}; diamonds: the paper’s means, where its "
            "tables print them; ×: no value."
        )
        title = f"{run.models[model]['title']}, in distribution (as the paper’s Figure 3)."
        name = f"uq4ct_figure3_{model.replace('.', '_')}"
        yield Picture(name, title, caption, bars.draw([evaluation.title for evaluation in evaluations], measures))


def _bars(run: Run, evaluations: Sequence[Evaluation], method: Approach, metric: str) -> bars.Bars:
    over = [approaches.measure(run, evaluation, method, metric) for evaluation in evaluations]
    return bars.Bars(_look(method), method.title, *_numbers(over), _papers(run, evaluations, method, metric))


def _papers(run: Run, evaluations: Sequence[Evaluation], method: Approach, metric: str) -> list[float | None]:
    printed = [
        approaches.papers(run, evaluation, method.paper, metric, paper.IN_DISTRIBUTION) for evaluation in evaluations
    ]
    return [number and number.mean for number in printed]


def distance(run: Run, task: Task, on: str) -> float | None:
    """The distance of a shift set: OOD-AUROC ×100 of the plain LoRA's Mahalanobis distance; 50: indistinguishable."""
    lora = Approach("lora", MD_L2.predictive, "")
    mean = approaches.measure(run, Evaluation(task, on), lora, "ood_auroc", MD_L2.variant).mean
    return None if mean is None else 100 * mean


def shifts(run: Run, tasks: Sequence[Task]) -> Iterator[Picture]:
    """One a task with shift sets: ECE and accuracy, the sets from the nearest to the farthest."""
    for task in tasks:
        sets = paper.shift_sets(run, task)
        if not sets:
            continue
        far = {name: distance(run, task, name) for name in sets}
        known = all(value is not None for value in far.values())
        evaluations = [
            Evaluation(task),
            *(Evaluation(task, name) for name in (sorted(sets, key=far.__getitem__) if known else sets)),
        ]
        ticks = [f"{p.title} ({far[p.on]:.0f})" if p.on and known else p.title for p in evaluations]
        xlabel = "evaluated on, farther to the right" if known else "evaluated on"
        panels = [
            curves.Panel(
                "", xlabel, LABELS[metric], [_over(run, evaluations, m, metric) for m in _drawn(run, [task])], ticks
            )
            for metric in reversed(METRICS)
        ]
        order = (
            "In brackets the distance from the test split: ROC-AUC ×100 of telling the two apart by the Mahalanobis "
            "distance of LoRA’s representation (50: alike, 100: disjoint)."
            if known
            else "The distances were not measured (no Mahalanobis score of LoRA), so the order is the configuration’s."
        )
        yield Picture(
            f"uq4ct_shift_{task.model}_{task.dataset}".replace(".", "_"),
            f"{approaches.title_of(run, task)}: the farther the data, the worse the calibration?",
            f"{SPREAD.capitalize()}; the first set is the test split; diamonds: the paper’s means. {order}",
            curves.draw(panels, height=2.5),
        )


def _over(run: Run, evaluations: Sequence[Evaluation], method: Approach, metric: str) -> curves.Curve:
    numbers = _numbers([approaches.measure(run, evaluation, method, metric) for evaluation in evaluations])
    x = [float(index) for index in range(len(evaluations))]
    return curves.Curve(_look(method), method.title, x, *numbers, _papers(run, evaluations, method, metric))


# -- ablations -----------------------------------------------------------------------------------------------------


def sweeps(run: Run, tasks: Sequence[Task]) -> Iterator[Picture]:
    """A row of panels a factor of three values or more, a curve a task; two values stand in a table."""
    varied = {
        factor: [task for task in tasks if len(task.sweeps.get(factor.key, [])) > 2] for factor in ablations.FACTORS
    }
    titles = dict.fromkeys(approaches.title_of(run, task) for here in varied.values() for task in here)
    looks = {title: _TASKS[index % len(_TASKS)] for index, title in enumerate(titles)}
    panels = [
        curves.Panel(
            factor.short, factor.symbol, LABELS[metric], [_swept(run, task, factor, metric, looks) for task in here]
        )
        for factor, here in varied.items()
        if here
        for metric in METRICS
    ]
    if panels:
        caption = (
            f"One factor varies, the others stay at the values of UQ4CT’s own recipe; {SPREAD}; diamonds: the "
            "paper’s means."
        )
        yield Picture("uq4ct_ablations", "Ablations.", caption, curves.draw(panels, height=1.7))


def _swept(run: Run, task: Task, factor: ablations.Factor, metric: str, looks: Mapping[str, str]) -> curves.Curve:
    """The curve of a sweep; of several recipes with one value it has the first."""
    points = {value: point for value, point in ablations.labelled(task.sweeps[factor.key]).items() if value.is_first}
    numbers = _numbers([ablations.number(run, point, metric) for point in points.values()])
    printed = [ablations.papers_number(run, task, factor, value, metric) for value in points]
    values = [value.value for value in points]
    title = approaches.title_of(run, task)
    return curves.Curve(looks[title], title, values, *numbers, [number and number.mean for number in printed])


# -- reliability of FLU ----------------------------------------------------------------------------------------------


def flu_reliability(run: Run, tasks: Sequence[Task]) -> Iterator[Picture]:
    """A row a task: FLU over the prompt's tokens, FLU at the last one, and the answer's own probability."""
    here = [task for task in tasks if any(role in task.roles for role in MIXTURES)]
    for suffix, part, page in style.pages(here, PER_PAGE):
        caption = (
            f"Share of right predictions against FLU in {reliability.BINS} bins of equal width between K/E, the least "
            "FLU there can be, and 1, and against the probability of the predicted answer; all seeds’ test examples "
            f"pooled. Below, how many fall into each bin; a hollow marker: fewer than {reliability.FEW}. On the "
            "diagonal a confidence means what it says; below it, it is too high."
        )
        diagrams = [diagram for task in page for diagram in _diagrams(run, task)]
        yield Picture(
            f"uq4ct_reliability{suffix}",
            f"Reliability of FLU and of the answer’s probability{part}.",
            caption,
            reliability.draw(diagrams),
        )


def _diagrams(run: Run, task: Task) -> list[reliability.Diagram]:
    roles = [role for role in ("lora", *MIXTURES) if role in task.roles]
    found = {role: _confidences(run, task.roles[role]) for role in roles}
    titles = {m.role: m.title for m in approaches.present(run, [task]) if m.predictive == "point"}
    experts = [mixture(run.recipes[task.roles[role].recipe]) for role in roles if role in MIXTURES]
    lowest = min(of["top_k"] / of["experts"] for of in experts) % 1  # with every expert active FLU is always 1
    heading = textwrap.wrap(run.models[task.model]["title"], 24, break_on_hyphens=False)
    diagrams = []
    for index, (name, low) in enumerate(
        {"FLU, mean of tokens": lowest, "FLU, last token": lowest, "max p": 0.0}.items()
    ):
        scores = [
            reliability.Confidence(role, titles.get(role, role), confidence[index], confidence[-1])
            for role, confidence in found.items()
            if confidence is not None and confidence[index] is not None
        ]
        title = "\n".join([*heading, task.dataset]) if not index else ""
        diagrams.append(reliability.Diagram(title, scores, low, name))
    return diagrams


def _confidences(run: Run, setting: Setting) -> tuple[np.ndarray | None, ...] | None:
    """FLU over the prompt's tokens, at the last one, the largest probability, and whether the prediction is right.

    Arrays (N,) over the test examples of every seed whose scores are there, each a confidence, 1 less a score; None
    without any. FLU alone is None where it was not scored. Records have the same, but hold every representation,
    and where no file system is shared a report has to fetch all that it reads.
    """
    found = {seed: run.scores(setting, seed, "softmax") for seed in run.seeds(setting, "point", "sr")}
    answers = {seed: scores for seed, scores in found.items() if scores is not None}
    if not answers:
        return None
    routers = [run.scores(setting, seed, "flu") for seed in answers]
    routed = None not in routers
    mean, last = (_confidence(routers, name) if routed else None for name in ("flu_mean", "flu_last"))
    right = ~np.concatenate([scores.error for scores in answers.values()])
    return mean, last, _confidence(answers.values(), "sr"), right


def _confidence(seeds: Iterable[Scores], variant: str) -> np.ndarray:
    return 1 - np.concatenate([scores.variants[variant] for scores in seeds])
