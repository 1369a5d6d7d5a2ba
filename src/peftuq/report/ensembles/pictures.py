"""The figures of an ensemble through its fine-tuning: planes, curves, sizes, filters."""

from collections.abc import Iterator

from peftuq.cells import Setting
from peftuq.report.ensembles.traces import Answers, Trace
from peftuq.report.figures import epochs, plane, retained, sizes, style
from peftuq.report.parts import Picture

QUANTITIES = {
    "nll": ("NLL, nats", 1),
    "accuracy": ("accuracy, %", 100),
    "ece_10": ("ECE-10, %", 100),
    "entropy": ("entropy, nats", 1),
    "mutual_information": ("MI, nats", 1),
}
UNCERTAINTIES = ("entropy", "mutual_information")  # known without labels
ENSEMBLES = "the disjoint ensembles of each size that the members make"


def pictures(setting: Setting, trace: Trace, heading: str) -> list[Picture]:
    """All figures of one setting, whose model and dataset `heading` names."""
    # A file's name is written into documents, where a dot begins its ending.
    name = "_".join(setting).replace(".", "_")
    drawn = (_planes, _curves, _sizes, _retained)
    return [picture for draw in drawn for picture in draw(trace, heading, name)]


def _title(trace: Trace, part: str) -> str:
    """The title of a part above a panel."""
    return {"train": "train, a subset", "test": f"{trace.dataset}, test"}.get(part, part)


def _planes(trace: Trace, heading: str, name: str) -> Iterator[Picture]:
    shown = trace.shown_epochs
    for suffix, part, page in style.pages(trace.evals, plane.ACROSS):
        sets = [
            plane.EvaluationSet(_title(trace, on), trace.options[on], [_pair(trace, on, epoch) for epoch in shown])
            for on in page
        ]
        figure = plane.draw(list(shown.values()), sets, trace.members)
        yield Picture(
            f"ensembles_plane_{name}{suffix}",
            f"Mutual information and entropy of {heading}{part}.",
            f"Answers of an ensemble of {trace.members} by the entropy H of their predictive distribution and by the "
            "members’ mutual information (MI), correct and incorrect apart, after the first epoch, the one with the "
            "lowest validation NLL and the last. In each panel: how many answers, and their mean MI. Only 0 ≤ MI ≤ H ≤ "
            "log C, and MI ≤ log M, are possible (white; C: options of a question, M: members). Low H: known; high H, "
            "low MI: known to be uncertain; high MI: unknown. The dotted lines between these regimes (H = ½ log C, "
            "MI = ¼ log C) are this report’s choice: the paper draws none. The panels of a figure share "
            "their axes and colours, whose scale is logarithmic; the MI axis ends where the data do."
            + ("" if trace.labelled == trace.evals else " Of a set without labels the upper panels show all answers."),
            figure,
        )


def _pair(trace: Trace, part: str, epoch: int) -> tuple[plane.Cloud, plane.Cloud | None]:
    answers = trace.answers(part, epoch)
    if part not in trace.labelled:
        return plane.Cloud(answers.entropy, answers.mutual_information), None
    return tuple(
        plane.Cloud(answers.entropy[of], answers.mutual_information[of]) for of in (answers.correct, ~answers.correct)
    )


def _curves(trace: Trace, heading: str, name: str) -> Iterator[Picture]:
    for suffix, part, page in style.pages(trace.parts, epochs.ACROSS):
        lines = [
            epochs.Line(label, {key: _of_sizes(trace, metric, key, scale) for key in page})
            for metric, (label, scale) in QUANTITIES.items()
        ]
        figure = epochs.draw({key: _title(trace, key) for key in page}, lines)
        yield Picture(
            f"ensembles_epochs_{name}{suffix}",
            f"Fine-tuning of {heading}, by the size of the ensemble{part}.",
            f"Means over {ENSEMBLES}; bands (bars where there is one epoch) reach from the least to the most of them, "
            "and there is none where one ensemble takes all members. The MI of one member is 0 and not drawn. Panels "
            "of a row share their axis.",
            figure,
        )


def _of_sizes(trace: Trace, metric: str, part: str, scale: float) -> list[epochs.Curve]:
    return [
        epochs.Curve(size, trace.epochs, [scale * trace.ensembles(metric, part, epoch, size) for epoch in trace.epochs])
        for size in _meaningful(trace, metric)
        if part not in trace.evals or part in trace.labelled or metric in UNCERTAINTIES
    ]


def _meaningful(trace: Trace, metric: str) -> list[int]:
    """The sizes at which a metric is not 0 by definition: one member cannot disagree."""
    return [size for size in trace.sizes if size > 1 or metric != "mutual_information"]


def _sizes(trace: Trace, heading: str, name: str) -> Iterator[Picture]:
    last = trace.epochs[-1]
    panels = []
    for metric, label in (("entropy", "mean entropy, nats"), ("mutual_information", "mean MI, nats")):
        found = _meaningful(trace, metric)
        growths = [
            sizes.Growth(_title(trace, part), found, [trace.ensembles(metric, part, last, size) for size in found])
            for part in trace.evals
        ]
        panels.append(sizes.Panel(label, growths if found else []))
    yield Picture(
        f"ensembles_sizes_{name}",
        f"Uncertainty by the number of members, {heading}.",
        f"Mean entropy of the predictive distribution and mean mutual information after epoch {last}, the last, as "
        f"means over {ENSEMBLES}; bars reach from the least to the most of them. Where a line is flat, more members "
        "change nothing.",
        sizes.draw(panels),
    )


def _retained(trace: Trace, heading: str, name: str) -> Iterator[Picture]:
    last = trace.epochs[-1]
    for suffix, part, page in style.pages(trace.labelled, 9):
        panels = [_filtered(_title(trace, evaluated), trace.answers(evaluated, last)) for evaluated in page]
        yield Picture(
            f"ensembles_retained_{name}{suffix}",
            f"Accuracy of the answers kept, {heading}{part}.",
            f"An ensemble of {trace.members} after epoch {last}, the last: share of correct answers among those with "
            "the least mutual information, or entropy, against the share that is kept, down to "
            f"{100 * retained.LEAST:.0f} %. The grey line is the accuracy on all. The panels’ axes differ.",
            retained.draw(panels),
        )


def _filtered(title: str, answers: Answers) -> retained.Panel:
    scores = {"by mutual information": answers.mutual_information, "by entropy": answers.entropy}
    return retained.Panel(title, [retained.Filter(*score) for score in scores.items()], answers.correct)
