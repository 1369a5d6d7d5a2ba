"""The model card of calibration: one page on what was picked, how sure that is, and how well P(wrong) is calibrated."""

from pathlib import Path

import numpy as np

from peftuq.files import atomic
from peftuq.report.figures import coverage, reliability, style
from peftuq.tool import usage
from peftuq.tool.bundle import Bundle
from peftuq.tool.choice import CRITERIA

NAME = "card.md"
RISKS = (0.01, 0.02, 0.05, 0.1)
CONFIDENCE = 0.9
SHOWN = 12  # methods in the table


def write(folder: Path, bundle: Bundle, p_wrong: np.ndarray) -> None:
    """Write the card and its figures; `p_wrong` (N,): cross-fitted, of the held-out rows."""
    error = bundle.arrays["held_out/error"].astype(bool)
    shown = reliability.Confidence(bundle.content.variant, "P(right)", 1 - p_wrong, ~error)
    style.save(
        reliability.draw([reliability.Diagram("Held-out rows", [shown], name="P(right)")]), folder, "reliability"
    )
    curve = coverage.Curve(bundle.content.variant, bundle.content.variant, [(bundle.arrays["held_out/score"], error)])
    style.save(coverage.draw([coverage.Panel("Held-out rows", [curve], ())]), folder, "risk_coverage")
    with atomic(folder / NAME) as temporary:
        temporary.write_text("\n".join(_lines(bundle)) + "\n")


def summary(bundle: Bundle) -> list[str]:
    """The method that was picked, why, and how good it is: a few lines."""
    content, quality = bundle.content, bundle.content.quality
    found = [content.reason, f"How sure: as good as the best in {content.stability:.0%} of resamples of those rows."]
    auroc = "undefined (no answer is wrong, or none right)"
    if quality.auroc is not None:
        auroc = f"{quality.auroc:.3f} [{quality.auroc_low:.3f}, {quality.auroc_high:.3f}]"
    found.append(
        f"On {quality.rows} further rows, {quality.errors} of them answered wrong: error AUROC {auroc}; P(wrong) has "
        f"a calibration error (ECE, 15 bins) of {quality.ece:.3f} and a Brier score of {quality.brier:.3f}."
    )
    return [*found, *content.warnings]


def _lines(bundle: Bundle) -> list[str]:
    content = bundle.content
    rows = ", ".join(f"{count} {_PARTS[name]}" for name, count in content.rows.items())
    return [
        f"# Calibration card: {content.predictive}/{content.variant}",
        "",
        *summary(bundle),
        "",
        f"Task: {content.task.kind} among {', '.join(content.task.classes[:12])}. Rows: {rows}. Picked for "
        f"{content.purpose} ({CRITERIA[content.purpose].title}), seed {content.seed}. Model and adapter are known by "
        "their digests in `bundle.json`; others are refused.",
        "",
        "![Reliability of P(right)](reliability.png) ![Error rate by coverage](risk_coverage.png)",
        "",
        "## Abstaining",
        "",
        *_risks(bundle),
        "",
        "## The methods compared",
        "",
        *_compared(bundle),
        "",
        "## Without this library",
        "",
        "```python",
        usage.source(content, folder="."),
        "```",
    ]


_PARTS = {
    "choose": "to compare and pick",
    "held_out": "for P(wrong) and the risk",
    "train": "that distances are measured to",
    "valid": "that methods are fitted on",
}


def _risks(bundle: Bundle) -> list[str]:
    score = bundle.arrays["held_out/score"]
    found = ["| risk | answered |", "|---:|---:|"]
    for risk in RISKS:
        share = (score < bundle.threshold(risk, CONFIDENCE)).mean()
        found.append(
            f"| {risk:.0%} | {share:.0%} |" if share else f"| {risk:.0%} | none: too few held-out rows show it |"
        )
    return [
        *found,
        "",
        f"The share of the answers that is wrong is at most the risk, with {CONFIDENCE:.0%} confidence over draws of "
        "the held-out rows. It holds where new rows come from the same source as the labelled ones: not "
        "after a shift, and for all answers together, not for each class.",
    ]


def _compared(bundle: Bundle) -> list[str]:
    content = bundle.content
    picked = f"{content.predictive}/{content.variant}"
    lines = [line for place, line in enumerate(content.compared) if place < SHOWN or line.name == picked]
    table = [f"| method | {CRITERIA[content.purpose].title} | behind the best | cost |", "|---|---|---|---:|"]
    for line in lines:
        name = f"**{line.name}**" if line.name == picked else line.name
        cost = f"{line.numbers}" if line.exported else "needs this library"
        value, behind = (f"{a:.3f} [{b:.3f}, {c:.3f}]" for a, b, c in (
            (line.value, line.low, line.high), (line.behind, line.behind_low, line.behind_high)))  # fmt: skip
        table.append(f"| {name} | {value} | {behind} | {cost} |")
    more = len(content.compared) - len(lines)
    left = "; ".join(f"{name} ({why})" for name, why in sorted(content.left_out.items()))
    return [
        *table,
        "",
        *([f"{more} more stand in `bundle.json`."] if more else []),
        "Intervals: 95 %, paired bootstrap over the rows to compare on. Cost: numbers that production keeps and works "
        f"through for each row. Not run: {left}.",
    ]
