"""The figures of quality against cost, and what stands on their fronts in words."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from peftuq.metrics.evaluate import METRICS
from peftuq.report.costs.groups import Group, Method
from peftuq.report.figures import pareto
from peftuq.report.figures.pareto import Panel, Point
from peftuq.report.parts import Picture
from peftuq.report.run import Run


class Quality(NamedTuple):
    """A metric on the y axis; `of_scores`: a method is then a score, else a source of probabilities."""

    metric: str
    label: str
    of_scores: bool


class Axis(NamedTuple):
    """A cost on the x axis, in units of plain LoRA's."""

    label: str
    value: Callable[[Group, Method], float | None]


def training(group: Group, method: Method) -> float | None:
    """Time of training, relative to plain LoRA's."""
    return group.times(method._replace(variant=""), lambda found: found.training)


def test(group: Group, method: Method) -> float | None:
    """Time of all that follows training, relative to plain LoRA's own probabilities."""
    ours, plain = group.test(method), None if group.plain is None else group.test(group.plain)
    return ours / plain if ours and plain else None


QUALITIES = (
    Quality("auroc", "error-AUROC ×100", of_scores=True),
    Quality("ece_15", "ECE (15 bins), %", of_scores=False),
)
AXES = (Axis("training time, × plain LoRA", training), Axis("time at test, × plain LoRA", test))


def panel(group: Group, quality: Quality, axis: Axis) -> Panel:
    """Every method with the metric whose cost was measured; a method of no cost, as an untuned model, has no place."""
    points, methods = [], group.scored if quality.of_scores else group.methods
    for method in methods:
        cost, value = axis.value(group, method), group.quality(method, quality.metric)
        if cost and value is not None:
            points.append(Point(method.title, _mark(group, method), cost, 100 * value))
    return Panel(axis.label, quality.label, METRICS[quality.metric]["better"], points)


def _mark(group: Group, method: Method) -> str:
    if method == group.plain or method == _plain_response(group):
        return "plain LoRA"
    recipe = "plain LoRA" if group.plain is not None and method.recipe == group.plain.recipe else "another recipe"
    if group.is_repeated(method):
        return f"{recipe}, several passes"
    return f"{recipe}, finished records" if recipe == "plain LoRA" else recipe


def _plain_response(group: Group) -> Method | None:
    """Softmax response of plain LoRA, its own score."""
    return None if group.plain is None else group.plain._replace(variant="sr")


def pictures(run: Run, groups: Sequence[Group]) -> Iterator[Picture]:
    """A figure for each model and its datasets."""
    for group in groups:
        panels = [panel(group, quality, axis) for quality in QUALITIES for axis in AXES]
        if not any(one.points for one in panels):
            continue
        yield Picture(
            f"costs_pareto_{group.name}",
            f"Quality against cost: {group.title}.",
            "Upper row: error-AUROC of each score, of each source of probabilities; lower row: ECE of each source. "
            "Left: the time of training; right: all that follows it, passes, fits and scoring, for an example of the "
            "evaluation sets, over which the fits are spread. The line joins the methods that none is both cheaper and "
            "better than; they are numbered, and named below. Both costs are measured, on logarithmic axes; values are "
            "means over the seeds and the datasets, and a front is chosen from them without regard to their spread.",
            pareto.draw(panels, len(AXES)),
        )


def findings(run: Run, groups: Sequence[Group]) -> list[str]:
    """The fronts of time at test, in words."""
    found = []
    for group in groups:
        for quality in QUALITIES:
            here = panel(group, quality, AXES[1])
            best = pareto.front(here.points, here.better)
            if best:
                steps = "; ".join(f"{p.title} ({p.quality:.1f} at {p.cost:.2g} times the cost)" for p in best)
                found.append(f"{quality.label} against time at test, {group.title}, cheapest first: {steps}.")
    return found
