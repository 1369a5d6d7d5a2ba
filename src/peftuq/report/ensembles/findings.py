"""The paper's findings in each setting: a table of verdicts, and sentences for the first page."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from peftuq.cells import Setting
from peftuq.report.ensembles import claims
from peftuq.report.ensembles.claims import Verdict
from peftuq.report.ensembles.traces import Trace
from peftuq.report.headings import Headings
from peftuq.report.run import Run
from peftuq.report.tables import Column, Entry, Row, Table
from peftuq.report.verdicts import FAILS, HOLDS, NOT_RUN, UNKNOWN, Checked

FEW = 2  # settings that a sentence names; of more it gives the number


class Claim(NamedTuple):
    """A finding, and as a column's head; its rule in words, and how it is checked."""

    title: str
    short: str
    rule: str
    check: Callable[[Trace], list[Verdict]]
    dataset: str = ""  # the one that it is about; any
    ours: bool = False  # a generalisation of this report's, which the paper does not make


CLAIMS = (
    Claim(
        "A small ensemble is enough (“M = 5 ≈ M = 20”)",
        "Small suffices",
        "Every disjoint ensemble of five members (or of the second largest size traced) has, after every epoch and on "
        "every test and shift set, an NLL within "
        f"{100 * claims.NLL_TOLERANCE:.0f} % of the largest ensemble’s, and a mean entropy and a mean mutual "
        f"information within {100 * claims.NATS_TOLERANCE:.0f} % of log C of its.",
        claims.size_is_enough,
    ),
    Claim(
        "Wrong answers keep high mutual information while the model overfits",
        "Wrong: high MI",
        "After every epoch past the lowest validation NLL, the mean mutual information of the wrong answers exceeds "
        "that of the right ones, with a 95 % interval of the difference above zero; and after the last epoch it is at "
        f"least {100 * claims.KEPT:.0f} % of what it was at the best, with such an interval. "
        f"Not judged: fewer than {claims.FEWEST} "
        "answers of a kind.",
        claims.wrong_answers_stay_uncertain,
    ),
    Claim(
        "STEM stays uncertain, social science does not",
        "STEM uncertain",
        "For adapters of csqa: after every epoch the mean entropy on mmlu_stem exceeds that on mmlu_social, and from "
        "the first epoch to the last mmlu_social loses more of it, both with 95 % intervals above zero.",
        claims.stem_stays_uncertain,
        claims.TRAINED,
    ),
    Claim(
        "In general: the ensemble stays uncertain on the shift that it gets wrong most",
        "Hardest shift uncertain",
        "The rule of (3) for the shift set with the lowest accuracy after the last epoch against the one with the "
        "highest (the test split where there is a single shift set).",
        claims.hardest_stays_uncertain,
        ours=True,
    ),
)

Found = Mapping[Setting, Trace | str]  # a trace, or why there is none


class Judged(NamedTuple):
    claim: Claim
    setting: Setting
    verdict: Verdict


def judge(found: Found) -> list[Judged]:
    """Every claim on every setting."""
    return [
        Judged(claim, setting, v) for claim in CLAIMS for setting in found for v in _verdicts(claim, setting, found)
    ]


def _verdicts(claim: Claim, setting: Setting, found: Found) -> list[Verdict]:
    trace = found[setting]
    if not isinstance(trace, str):
        return claim.check(trace)
    if claim.dataset not in ("", setting.dataset):
        return [Verdict("–", claims.ELSEWHERE, f"is about adapters of {claim.dataset}")]
    return [Verdict("–", claims.UNKNOWN, trace)]


def checked(run: Run, settings: Sequence[Setting], judged: Sequence[Judged]) -> list[Checked]:
    """One verdict a claim, over all settings: it holds where every check says so, and does not where one says not."""
    headings = Headings(run, settings)
    return [_checked(headings, claim, [j for j in judged if j.claim is claim]) for claim in CLAIMS if not claim.ours]


def _checked(headings: Headings, claim: Claim, judged: Sequence[Judged]) -> Checked:
    applies = [j for j in judged if j.verdict.answer != claims.ELSEWHERE]
    if not applies:
        why = judged[0].verdict.measured if judged else "no setting has an ensemble"
        return Checked(claim.title, NOT_RUN, why)
    answers = [j.verdict.answer for j in applies]
    if len(applies) == 1:
        return Checked(claim.title, applies[0].verdict.answer, applies[0].verdict.measured)
    decided = FAILS if claims.FAILS in answers else HOLDS if set(answers) == {claims.HOLDS} else UNKNOWN
    counts = ", ".join(f"{answer} in {answers.count(answer)}" for answer in claims.ANSWERS if answer in answers)
    named = [_named(headings, j) for j in applies if j.verdict.answer == claims.FAILS]
    where = f"; fails on {'; '.join(named)}" if 0 < len(named) <= FEW else ""
    return Checked(claim.title, decided, f"of {len(applies)} checks {counts}{where}")


def tables(run: Run, settings: Sequence[Setting], judged: Sequence[Judged]) -> list[Table]:
    """The verdicts of every setting side by side, then a table a claim with its rule and what was measured."""
    checked = dict.fromkeys(j.setting for j in judged)
    if not checked:
        return []
    headings = Headings(run, settings)
    rows = [
        Row((headings.setting(setting),), tuple(_summed(c, setting, judged) for c in CLAIMS)) for setting in checked
    ]
    caption = (
        "By the rules in the captions of the next tables, which give the numbers; where a setting is checked on "
        "several sets, on how many of them."
    )
    columns = tuple(Column(f"({number}) {claim.short}") for number, claim in enumerate(CLAIMS, start=1))
    stub = ("Model and dataset",)
    summary = Table("ensembles_findings", "The paper’s findings, checked.", caption, stub, columns, tuple(rows))
    return [summary, *(_table(n, c, headings, [j for j in judged if j.claim is c]) for n, c in enumerate(CLAIMS, 1))]


def _summed(claim: Claim, setting: Setting, judged: Sequence[Judged]) -> Entry:
    answers = [j.verdict.answer for j in judged if j.claim is claim and j.setting == setting]
    counts = {answer: answers.count(answer) for answer in claims.ANSWERS if answer in answers}
    if len(counts) == 1:
        return Entry(answers[0])
    return Entry(", ".join(f"{answer} ({count} of {len(answers)})" for answer, count in counts.items()))


def _table(number: int, claim: Claim, headings: Headings, judged: Sequence[Judged]) -> Table:
    rows = (
        Row((j.verdict.answer,), tuple(map(Entry, (headings.setting(j.setting), j.verdict.on, j.verdict.measured))))
        for j in judged
    )
    columns = (
        Column("Model and dataset", align="left", width=3),
        Column("Evaluated on", align="left", width=2),
        Column("Measured (in nats, differences with 95 % intervals)", align="left", width=6),
    )
    title = f"({number}) {claim.title}."
    return Table(f"ensembles_finding{number}", title, claim.rule, ("Verdict",), columns, tuple(rows))


def _named(headings: Headings, judged: Judged) -> str:
    on = judged.verdict.on
    return headings.setting(judged.setting) + ("" if on in ("–", judged.setting.dataset) else f", on {on}")
