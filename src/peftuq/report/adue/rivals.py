"""AdUE against its best baseline, and the best score of each evaluation set against the next."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from peftuq.cells import Setting
from peftuq.report.comparison import Comparison, Difference
from peftuq.report.declared import Block, DeclaredTable, Field
from peftuq.report.headings import Headings
from peftuq.report.methods import ADUE, parse
from peftuq.report.methods import title as title_of
from peftuq.report.metric_table import SETTING
from peftuq.report.run import Run
from peftuq.report.tables import MISSING, NOT_REQUESTED, UNDEFINED, Column, Entry

INTERVAL = (
    "with its 95 % interval from a bootstrap of the test examples, paired over methods and over the seeds that both "
    "have. The other is the one that came out best on these very examples, which favours it. AUROCs are ×100, means "
    "over those seeds, each of its own predictive’s errors. Bold: intervals that leave out zero; any other difference "
    "is not distinguishable from none."
)


def baselines(run: Run, found: Comparison) -> list[str]:
    """AdUE's baselines: every compared score, of any predictive, but those that AdUE's own score declares.

    Its variants, such as other losses and other λ, are the method itself; the paper too keeps them in ablations.
    """
    own = set(run.own_variants(ADUE.variant))
    return [name for name in found.methods if parse(name)[1] not in own]


def adue_against_baselines(run: Run, found: Comparison) -> Difference | None:
    return found.best_other(ADUE.key, baselines(run, found))


def _best_against_next(run: Run, found: Comparison) -> Difference | None:
    best = found.best()
    if best is None:
        return None
    return found.best_other(best, set(found.methods) - found.same_order(best))


class Contest(NamedTuple):
    """A row: an evaluation set of a setting, and the difference of two scores on it, or a mark of why there is none."""

    labels: tuple[str, ...]
    found: Difference | Entry
    means: tuple[float | None, float | None]
    trained: Sequence[int]


Choice = Callable[[Run, Comparison], Difference | None]


def _contests(
    run: Run, settings: Sequence[Setting], choose: Choice, fields: Sequence[Field[Contest]]
) -> list[Block[Contest]]:
    headings, asked = Headings(run, settings), [s for s in settings if run.seeds(s, ADUE.predictive, ADUE.variant)]
    return [
        Block(
            [
                _contest(run, setting, on, choose, (on or setting.dataset,))
                for on in ("", *run.labelled_shifts(setting))
            ],
            [fields],
            headings.setting(setting),
        )
        for setting in asked
    ]


def _contest(run: Run, setting: Setting, on: str, choose: Choice, labels: tuple[str, ...]) -> Contest:
    comparison = run.comparison(setting, on)
    if comparison is None:
        return Contest(labels, Entry(MISSING, note="the comparison was not made"), (None, None), [])
    d = choose(run, comparison)
    if d is None:
        note = "no two scores to compare have a defined AUROC in a common seed: all predictions right, or all wrong"
        return Contest(labels, Entry(UNDEFINED, note=note), (None, None), [])
    means = (comparison.mean(d.method, d.seeds), comparison.mean(d.other, d.seeds))
    return Contest(labels, d, means, run.adapters(setting))


def rival_table(
    name: str, title: str, caption: str, sides: tuple[str, str], choose: Choice
) -> DeclaredTable[Sequence[Setting], Contest]:
    """A row an evaluation set: two scores and their difference; none where no setting was asked for AdUE."""
    fields = [field for index, side in enumerate(sides) for field in (_score(index, side), _mean(index, side))]
    fields.append(Field(Column("Difference"), _difference))
    return DeclaredTable(
        name,
        title,
        caption,
        ("Evaluated on",),
        lambda run, settings: _contests(run, settings, choose, fields),
        SETTING,
        labels=lambda contest: contest.labels,
    )


def _score(index: int, side: str) -> Field[Contest]:
    def entry(contest: Contest) -> Entry:
        if isinstance(contest.found, Entry):
            return Entry(NOT_REQUESTED) if index else contest.found
        return Entry(title_of(contest.found[index]))

    return Field(Column("Score", side), entry)


def _mean(index: int, side: str) -> Field[Contest]:
    def entry(contest: Contest) -> Entry:
        if isinstance(contest.found, Entry):
            return Entry(NOT_REQUESTED)
        mean = contest.means[index]
        return Entry(UNDEFINED) if mean is None else Entry(value=100 * mean)

    return Field(Column("AUROC", side), entry)


def _difference(contest: Contest) -> Entry:
    """In points of AUROC; bold where the interval leaves out zero, a note where only some seeds could be paired."""
    d = contest.found
    if isinstance(d, Entry):
        return Entry(NOT_REQUESTED)
    some = f"over seed{'s' if len(d.seeds) > 1 else ''} {', '.join(map(str, d.seeds))}: no other is common to both"
    interval, apart = (100 * d.low, 100 * d.high), d.low > 0 or d.high < 0
    note = some if len(d.seeds) < len(contest.trained) else ""
    return Entry(value=100 * d.estimate, interval=interval, signed=True, best=apart, note=note)


BASELINE = rival_table(
    "adue_best_baseline",
    "AdUE against the best baseline.",
    "Error-AUROC of AdUE, of the best of all other scores (of any predictive; left out are only AdUE’s own losses, "
    f"starts and λ, its ablations), and AdUE’s minus the baseline’s, {INTERVAL}",
    ("AdUE", "Best baseline"),
    adue_against_baselines,
)
BEST = rival_table(
    "adue_best_score",
    "The best score against the next.",
    "The score of the highest mean error-AUROC among all that were compared, the best of all others that do "
    "not order the examples alike (for two classes the softmax response, entropy and margin do), and their "
    f"difference, {INTERVAL}",
    ("Best", "Next"),
    _best_against_next,
)
