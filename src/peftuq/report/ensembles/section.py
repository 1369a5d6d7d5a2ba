"""The report's section on LoRA ensembles (Balabanov and Linander, arXiv 2402.12264)."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from peftuq.cells import Setting, parse_predictive
from peftuq.report import reference_posterior
from peftuq.report.ensembles import findings, pictures, predictives, traces
from peftuq.report.headings import Headings
from peftuq.report.parts import Picture
from peftuq.report.run import Run
from peftuq.report.sections import Maker, PaperSection
from peftuq.report.tables import Table

READING = (
    "An ensemble’s members are adapters of one recipe that differ in their seed; its prediction is the mean of their "
    "probabilities. Its entropy H is the whole uncertainty; the mutual information (MI) of answer and member, H less "
    "the mean of the members’ own entropies, is the share of it that more data could remove: members that agree leave "
    "none. The paper prints no tables: its findings are checked here by rules, and its figures rebuilt."
)
RULES = (
    "The paper reads its findings off figures and names no thresholds: each becomes a rule here, whose thresholds are "
    "this report’s. A finding that rests on differences holds where all their 95 % intervals are above zero, does not "
    "hold where one is below, and cannot be said to hold or not where one includes zero, or where the run has too few "
    "epochs, sizes or answers. Findings (2) to (4) are checked on the ensemble that the figures show, that of the "
    "first members."
)
UNTRACED = "Not followed through fine-tuning: {}."


class Study(NamedTuple):
    """The section's settings; of those with ensembles the trace, or why there is none, and the verdicts on them."""

    settings: list[Setting]
    traces: dict[Setting, traces.Trace | str]
    judged: list[findings.Judged]


def study(run: Run, settings: list[Setting]) -> Study:
    pooled = [s for s in settings if any(parse_predictive(key).name == "ensemble" for key in run.predictives(s))]
    found = {setting: traces.read(run, setting) or traces.why_none(run, setting) for setting in pooled}
    return Study(settings, found, findings.judge(found))


def untraced(run: Run, subject: Study) -> str | None:
    headings = Headings(run, subject.settings)
    found = [f"{headings.setting(s)} ({why})" for s, why in subject.traces.items() if isinstance(why, str)]
    return UNTRACED.format("; ".join(found)) if found else None


def drawn(run: Run, subject: Study) -> Iterator[Picture]:
    headings = Headings(run, subject.settings)
    for setting, trace in subject.traces.items():
        if isinstance(trace, traces.Trace):
            yield from pictures.pictures(setting, trace, headings.setting(setting))


def _of_settings(make: Callable[[Run, list[Setting]], Table | None]) -> Maker[Study]:
    return lambda run, subject: make(run, subject.settings)


SECTION = PaperSection(
    title="LoRA ensembles",
    reading=(READING,),
    parts={
        "The paper’s findings, checked": [
            lambda run, subject: RULES,
            lambda run, subject: findings.tables(run, subject.settings, subject.judged),
        ],
        "One adapter, ensembles, checkpoints": [
            _of_settings(predictives.QUALITY_TABLE),
            _of_settings(predictives.DETECTION),
            _of_settings(predictives.SWEEP),
            _of_settings(predictives.ANSWER_MASS),
        ],
        "Through fine-tuning": [untraced, drawn],
        "How good an approximation is an ensemble?": [lambda run, subject: reference_posterior.items(run)],
    },
    claims=lambda run, subject: findings.checked(run, subject.settings, subject.judged),
    subject=study,
)
