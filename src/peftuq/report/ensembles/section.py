"""The report's section on LoRA ensembles (Balabanov and Linander, arXiv 2402.12264)."""

from peftuq.cells import parse_predictive
from peftuq.report import gold
from peftuq.report.ensembles import findings, pictures, predictives, traces
from peftuq.report.layouts import Headings
from peftuq.report.parts import Section
from peftuq.report.run import Run

KEY = "ensembles"  # in a suite's `sections`

READING = (
    "An ensemble’s members are adapters of one recipe that differ in their seed; its prediction is the mean of their "
    "probabilities. Its entropy H is the whole uncertainty; the mutual information (MI) of answer and member, H less "
    "the mean of the members’ own entropies, is the share of it that more data could remove: members that agree leave "
    "none. The paper prints no tables: its findings are checked here by rules, and its figures rebuilt."
)
RULES = (
    "The paper reads its findings off figures and names no thresholds: each becomes a rule here, whose thresholds are "
    "this report’s. A finding that rests on differences does not hold where one of them is zero or less, and cannot "
    "be said to hold or not where an interval includes zero, or where the run has too few epochs, sizes or answers. "
    "Findings (2) to (4) are checked on the ensemble that the figures show, that of the first members."
)
UNTRACED = "Not followed through fine-tuning: {}."


def section(run: Run) -> Section | None:
    """None where no suite of the run feeds this section."""
    settings = run.settings(KEY)
    if not settings:
        return None
    headings = Headings(run, settings)
    pooled = [s for s in settings if any(parse_predictive(key).name == "ensemble" for key in run.predictives(s))]
    found = {setting: traces.read(run, setting) or traces.why_none(run, setting) for setting in pooled}
    judged = findings.judge(found)
    followed = {setting: trace for setting, trace in found.items() if isinstance(trace, traces.Trace)}
    untraced = [f"{headings.setting(s)} ({why})" for s, why in found.items() if isinstance(why, str)]
    parts = [
        Section("The paper’s findings, checked", [RULES, *findings.tables(run, settings, judged)]),
        Section(
            "One adapter, ensembles, checkpoints",
            [
                predictives.quality(run, settings),
                predictives.detection(run, settings),
                predictives.sweep(run, settings),
                predictives.answer_mass(run, settings),
            ],
        ),
        Section(
            "Through fine-tuning",
            [
                *([UNTRACED.format("; ".join(untraced))] if untraced else []),
                *(p for s, trace in followed.items() for p in pictures.pictures(s, trace, headings.setting(s))),
            ],
        ),
    ]
    parts.append(Section("How good an approximation is an ensemble?", gold.items(run)))
    sentences = findings.sentences(run, settings, judged)
    return Section("LoRA ensembles", [READING, *parts], sentences).filled
