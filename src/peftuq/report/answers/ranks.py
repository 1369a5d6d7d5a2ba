"""Critical-difference diagrams: which methods' average ranks over a kind's tasks can be told apart."""

from collections.abc import Iterator

import numpy as np

from peftuq.metrics import friedman
from peftuq.metrics.evaluate import METRICS
from peftuq.metrics.ranks import average_ranks
from peftuq.report.answers import methods
from peftuq.report.answers.methods import KINDS, Task
from peftuq.report.answers.questions import by_kind
from peftuq.report.figures import critical_difference
from peftuq.report.parts import Picture
from peftuq.report.run import Run

FEWEST_TASKS, FEWEST_METHODS = 6, 3  # below, χ² is no approximation (Demšar 2006) and nothing would be told apart
ALPHA = 0.05
LABELS = {"auroc": "error-AUROC", "ece_15": "ECE"}


def pictures(run: Run) -> Iterator[Picture]:
    """One figure: a diagram a kind of task and metric, where there are tasks and methods enough."""
    diagrams = [
        diagram
        for kind, some in by_kind(run).items()
        for metric in LABELS
        if (diagram := _diagram(run, kind, some, metric)) is not None
    ]
    if diagrams:
        yield Picture(
            "summary_ranks",
            "Average ranks, and what can be told apart.",
            f"Methods that ran on all tasks of a kind, by their average rank (1: best). Friedman’s test of all ranks "
            "being alike stands above each axis. A bar joins methods whose average ranks differ by less than the "
            f"critical difference CD of Nemenyi’s test at {100 * ALPHA:.0f} % (Demšar 2006): they are not "
            "distinguishable. Tasks that share a dataset are counted as independent.",
            critical_difference.draw(diagrams),
        )


def _diagram(run: Run, kind: str, some: list[Task], metric: str) -> critical_difference.Diagram | None:
    every = (methods.of_scores if metric == "auroc" else methods.of_probabilities)(run, some)
    units = methods.own(some)
    values = {m: {i: methods.over(run, m, unit, metric).mean for i, unit in enumerate(units)} for m in every}
    complete = {m: found for m, found in values.items() if None not in found.values()}
    if len(units) < FEWEST_TASKS or len(complete) < FEWEST_METHODS:
        return None
    names = {m.title: m for m in complete}
    ranks = average_ranks({name: complete[m] for name, m in names.items()}, METRICS[metric]["better"]).mean
    table = np.array([list(complete[m].values()) for m in names.values()]).T
    title = f"{KINDS[kind]}, {LABELS[metric]}: {len(units)} tasks, {len(names)} methods"
    difference = friedman.critical_difference(len(names), len(units), ALPHA)
    return critical_difference.Diagram(title, ranks, difference, friedman.friedman(table).p)
