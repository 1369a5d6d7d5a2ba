"""The questions of the first page, each answered from the numbers: a method is named with its interval."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from peftuq.cells import PREDICTION
from peftuq.metrics.evaluate import METRICS
from peftuq.report.answers import methods
from peftuq.report.answers.leads import Lead, Leads
from peftuq.report.answers.methods import KINDS, SR, Candidate, Task, Unit
from peftuq.report.parts import Question
from peftuq.report.run import Run
from peftuq.report.words import counted


class Asked(NamedTuple):
    """A question of every kind of task: of scores or of probabilities, by a metric, at home or under shift."""

    title: str
    metric: str
    noun: str
    under_shift: bool = False


ASKED = (
    Asked("Which score finds the errors?", "auroc", "error-AUROC"),
    Asked("Which probabilities are calibrated?", "ece_15", "ECE"),
    Asked("Which finds errors under shift?", "auroc", "error-AUROC", True),
    Asked("Which stays calibrated under shift?", "ece_15", "ECE", True),
)
CHOSEN = "The leader is chosen by the same numbers that it is judged by, which favours it."


def by_kind(run: Run) -> dict[str, list[Task]]:
    """The run's tasks by kind, in the order of KINDS."""
    every = methods.tasks(run)
    found = {kind: [task for task in every if task.kind == kind] for kind in KINDS}
    return {kind: some for kind, some in found.items() if some}


def questions(run: Run) -> list[Question]:
    """Those of ASKED that can be answered."""
    leads, kinds = Leads(run), by_kind(run)
    found = [
        Question(asked.title, [text for kind, some in kinds.items() if (text := _answer(leads, asked, kind, some))])
        for asked in ASKED
    ]
    return [question for question in found if question.answers]


def _answer(leads: Leads, asked: Asked, kind: str, some: list[Task]) -> str:
    of_scores = asked.metric == "auroc"
    baseline = Candidate(some[0].plain, "point", SR if of_scores else PREDICTION)
    every_unit = methods.shifted(leads.run, some) if asked.under_shift else methods.own(some)
    units = [unit for unit in every_unit if methods.over(leads.run, baseline, unit, asked.metric).values]
    if not every_unit:
        return ""
    every = (methods.of_scores if of_scores else methods.of_probabilities)(leads.run, some)
    rivals = [method for method in every if method != baseline]
    lead = leads.best(rivals, baseline, units, asked.metric)
    where = f"{KINDS[kind]} ({counted(len(units or every_unit), 'shift set' if asked.under_shift else 'task')})"
    if lead is not None:
        return f"{where}: {_led(leads, asked, lead, baseline, units)}"
    plain = leads.mean(baseline, units, asked.metric)
    if plain is None:
        return f"{where}: no {asked.noun} is there."
    return f"{where}: nothing stands beside {baseline.title} ({asked.noun} {100 * plain:.1f})."


def _led(leads: Leads, asked: Asked, lead: Lead, baseline: Candidate, units: Sequence[Unit]) -> str:
    ours, plain = leads.both(lead.method, baseline, units, asked.metric)
    ahead = ours > plain if METRICS[asked.metric]["better"] == "higher" else ours < plain
    leader = f"{lead.method.title} {'leads' if ahead else 'comes nearest'} with {asked.noun} {100 * ours:.1f}"
    beside = f"{lead.gap.text} against {baseline.title} ({100 * plain:.1f}): {lead.gap.side()}"
    if not lead.others:
        return f"{leader}, {beside}."
    return f"{leader}, {beside}. {_level(lead)}"


def _level(lead: Lead) -> str:
    if lead.level == lead.others:
        return f"None of the {lead.others} others can be told from it."
    return f"Of the {lead.others} others {lead.level} cannot be told from it."


def sureness(run: Run) -> Question:
    """How much the numbers can tell: examples, seeds and the width of an interval."""
    leads, answers = Leads(run), []
    for kind, some in by_kind(run).items():
        seeds = {len(run.adapters(task.settings[task.plain])) for task in some}
        sizes = [rows["test"] for task in some if (rows := run.dataset_facts(task.dataset)[0]).get("test")]
        if not sizes:
            continue
        halves = [half for task in some if (half := _half_width(leads, task)) is not None]
        width = (
            f"; the 95 % interval of a difference of two error-AUROCs is ±{100 * float(np.median(halves)):.0f} points "
            "(median)"
            if halves
            else ""
        )
        answers.append(
            f"{KINDS[kind]}: {_span(sizes)} test examples and {_span(sorted(seeds))} trainings a task{width}."
        )
    return Question("How sure is this?", [*answers, CHOSEN])


def _half_width(leads: Leads, task: Task) -> float | None:
    """Half the median interval between the softmax response of plain LoRA and its other scores."""
    plain = Candidate(task.plain, "point", SR)
    others = [m for m in methods.of_scores(leads.run, [task]) if m.family == task.plain and m != plain]
    gaps = [found for m in others if (found := leads.between(m, plain, [Unit(task)], "auroc")) is not None]
    halves = [(found.high - found.low) / 2 for found in gaps if np.isfinite(found.low)]
    return float(np.median(halves)) if halves else None


def _span(numbers: Sequence[int]) -> str:
    low, high = min(numbers), max(numbers)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"
