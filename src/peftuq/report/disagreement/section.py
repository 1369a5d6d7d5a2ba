"""The report's section on why published numbers disagree: what one change alone does to ECE and error-AUROC."""

from collections.abc import Iterator

from peftuq.report.disagreement import tables
from peftuq.report.disagreement.differences import METRICS, Comparison, of_seeds
from peftuq.report.disagreement.tables import Subject
from peftuq.report.figures import changes
from peftuq.report.figures.changes import Move, Panel
from peftuq.report.parts import Picture
from peftuq.report.run import Run
from peftuq.report.sections import PaperSection

READING = (
    "Papers that report on the same method, model and dataset print different numbers. Here one thing at a time is "
    "varied around a common training: the family of prompts, whether the answers’ rows of the LM head are adapted, the "
    "number of steps, precision, the split, dropout, and a method as its paper or as its authors’ code has it. What "
    "changes is read off the recipes and datasets themselves: a pair that differs in more than one thing is not shown."
)


def _move(comparison: Comparison, metric: str) -> Move:
    found = comparison.found[metric]
    if found is None:
        return Move(None, None)
    low_high = found.interval
    return Move(100 * found.estimate, None if low_high is None else (100 * low_high[0], 100 * low_high[1]))


def pictures(run: Run, subject: Subject) -> Iterator[Picture]:
    """A figure for each model and dataset."""
    for title, comparisons in subject.groups.items():
        base = tables.base(comparisons)
        panels = []
        for metric, label in METRICS.items():
            seed = of_seeds(run, base, metric)
            moves = [_move(one, metric) for one in comparisons]
            panels.append(Panel(f"difference of {label}", moves, None if seed is None else 100 * seed))
        yield Picture(
            f"disagreement_{base.setting.model}_{base.setting.dataset}".replace(".", "_"),
            f"One change at a time: {title}.",
            "Each line changes one thing, from before to after the arrow: the difference of ECE (left; below zero: "
            "better calibrated) and of error-AUROC (right; above zero: errors are told better), mean over seeds, with "
            "its 95 % interval, as in the table. Grey: the mean absolute difference between two seeds of "
            f"{base.setting.recipe}.",
            changes.draw([f"{one.change.factor}: {one.change.text}" for one in comparisons], panels),
        )


def findings(run: Run, subject: Subject) -> list[str]:
    """For each metric, the change that moved it farthest of those whose interval leaves out zero."""
    found = []
    for metric, label in METRICS.items():
        moved = []
        for title, comparisons in subject.groups.items():
            for one in comparisons:
                move = _move(one, metric)
                if move.estimate is not None and move.interval is not None and not _holds_zero(move.interval):
                    moved.append((abs(move.estimate), f"{one.change.factor} ({one.change.text}), {title}"))
        total = len(subject.comparisons)
        farthest = f"; farthest, by {max(moved)[0]:.1f}: {max(moved)[1]}" if moved else ""
        found.append(f"Of {total} single changes {len(moved)} move {label} by more than their interval{farthest}.")
    return found if subject.comparisons else []


def _holds_zero(interval: tuple[float, float]) -> bool:
    return interval[0] <= 0 <= interval[1]


SECTION = PaperSection(
    title="Why published numbers disagree",
    reading=(READING,),
    parts={"One change at a time": [tables.each, pictures, tables.over_all]},
    findings=findings,
    subject=Subject,
)
