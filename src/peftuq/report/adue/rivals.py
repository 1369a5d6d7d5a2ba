"""AdUE against its best baseline, and the best score of each evaluation set against the next."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from peftuq.cells import Setting
from peftuq.report.comparison import Comparison, Difference
from peftuq.report.headings import Headings
from peftuq.report.methods import ADUE, parse, title
from peftuq.report.run import Run
from peftuq.report.tables import MISSING, NOT_REQUESTED, UNDEFINED, Column, Entry, Row, Table

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


@dataclass(frozen=True)
class RivalTable:
    """A row an evaluation set: two scores, `one` and `other`, and their difference.

    None where no setting was asked for AdUE.
    """

    name: str
    title: str
    caption: str
    one: str
    other: str
    choose: Callable[[Run, Comparison], Difference | None]

    def __call__(self, run: Run, settings: Sequence[Setting]) -> Table | None:
        headings = Headings(run, settings)
        rows = [
            Row((headings.model(setting), setting.dataset, on or setting.dataset), self._entries(run, setting, on))
            for setting in settings
            if run.seeds(setting, ADUE.predictive, ADUE.variant)
            for on in ("", *run.labelled_shifts(setting))
        ]
        if not rows:
            return None
        columns = [Column(label, group) for group in (self.one, self.other) for label in ("Score", "AUROC")]
        stub = ("Model", "Trained on", "Evaluated on")
        return Table(self.name, self.title, self.caption, stub, (*columns, Column("Difference")), tuple(rows))

    def _entries(self, run: Run, setting: Setting, on: str) -> tuple[Entry, ...]:
        found, dashes = run.comparison(setting, on), (Entry(NOT_REQUESTED),) * 4
        if found is None:
            return (Entry(MISSING, note="the comparison was not made"), *dashes)
        d = self.choose(run, found)
        if d is None:
            note = "no two scores to compare have a defined AUROC in a common seed: all predictions right, or all wrong"
            return (Entry(UNDEFINED, note=note), *dashes)
        sides = [(Entry(title(name)), _auroc(found.mean(name, d.seeds))) for name in (d.method, d.other)]
        return (*sides[0], *sides[1], _difference(d, run.adapters(setting)))


def _auroc(value: float | None) -> Entry:
    return Entry(UNDEFINED) if value is None else Entry(value=100 * value)


def _difference(d: Difference, trained: Sequence[int]) -> Entry:
    """In points of AUROC; bold where the interval leaves out zero, a note where only some seeds could be paired."""
    some = f"over seed{'s' if len(d.seeds) > 1 else ''} {', '.join(map(str, d.seeds))}: no other is common to both"
    interval, apart = (100 * d.low, 100 * d.high), d.low > 0 or d.high < 0
    note = some if len(d.seeds) < len(trained) else ""
    return Entry(value=100 * d.estimate, interval=interval, signed=True, best=apart, note=note)


BASELINE = RivalTable(
    "adue_best_baseline",
    "AdUE against the best baseline.",
    "Error-AUROC of AdUE, of the best of all other scores (of any predictive; left out are only AdUE’s own losses, "
    f"starts and λ, its ablations), and AdUE’s minus the baseline’s, {INTERVAL}",
    "AdUE",
    "Best baseline",
    adue_against_baselines,
)
BEST = RivalTable(
    "adue_best_score",
    "The best score against the next.",
    "The score of the highest mean error-AUROC among all that were compared, the best of all others that do "
    "not order the examples alike (for two classes the softmax response, entropy and margin do), and their "
    f"difference, {INTERVAL}",
    "Best",
    "Next",
    _best_against_next,
)
