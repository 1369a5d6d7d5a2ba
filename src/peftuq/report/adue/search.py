"""The choice of AdUE's hyper-parameter search in each setting."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from peftuq.cells import Setting
from peftuq.report.declared import Block, DeclaredTable, Field
from peftuq.report.headings import SPREAD, Headings
from peftuq.report.methods import ADUE
from peftuq.report.run import OverSeeds, Run
from peftuq.report.tables import MISSING, Column, Entry, measured

_KEYS = {"lr": "Rate", "epochs": "Epochs", "alpha": "α", "beta": "β"}


class Fits(NamedTuple):
    """A row: the diagnostics of AdUE's search in a setting by seed, and the seeds whose file is `missing`."""

    labels: tuple[str, str]
    notes: dict[int, dict[str, Any]]
    missing: list[int]

    def over(self, of: Callable[[dict[str, Any]], float | None]) -> Entry:
        """A number of every seed's diagnostics, in per cent."""
        values = {seed: of(note) for seed, note in self.notes.items()}
        undefined = [seed for seed, value in values.items() if value is None]
        defined = {seed: value for seed, value in values.items() if value is not None}
        reason = "no error on the validation split, or only errors"
        return measured(OverSeeds(defined, self.missing, undefined, reason), 100)


def _fits(run: Run, settings: Sequence[Setting]) -> list[Fits]:
    headings, found = Headings(run, settings), []
    for setting in settings:
        seeds = run.seeds(setting, ADUE.predictive, ADUE.variant)
        scores = {seed: run.scores(setting, seed, "adue") for seed in seeds}
        notes = {seed: one.diagnostics for seed, one in scores.items() if one is not None}
        if seeds:
            labels = (headings.model(setting), setting.dataset)
            found.append(Fits(labels, notes, [seed for seed in seeds if seed not in notes]))
    return found


def _chosen(key: str) -> Field[Fits]:
    def entry(fits: Fits) -> Entry:
        return Entry(_counted([note["selected"][ADUE.variant][key] for note in fits.notes.values()]) or MISSING)

    return Field(Column(_KEYS[key], width=1), entry)


def _counted(values: Sequence[float]) -> str:
    """The values from the most chosen down: "0.001 (3), 0.0001 (2)"; a count of one and all is left out."""
    counts = Counter(values).most_common()
    return ", ".join(f"{value:g}" if len(counts) == 1 else f"{value:g} ({count})" for value, count in counts)


def _over(column: Column, of: Callable[[dict[str, Any]], float | None]) -> Field[Fits]:
    return Field(column, lambda fits: fits.over(of))


FIELDS = [
    *map(_chosen, _KEYS),
    _over(Column("AdUE", "Validation AUROC"), lambda note: note["selected"][ADUE.variant]["valid_auroc"]),
    _over(Column("SR", "Validation AUROC"), lambda note: note["valid_auroc_sr"]),
    _over(Column("Clamped, %"), lambda note: note["selected"][ADUE.variant]["clamped"]["test"]),
]
SEARCH = DeclaredTable[Sequence[Setting], Fits](
    "adue_search",
    "What AdUE’s search chose.",
    "Learning rate, epochs, α and β with the highest error-AUROC on the validation split, by the number of seeds "
    "that chose them (0 epochs: every fit ranked the validation split worse than the head as it was); "
    "the validation error-AUROC ×100 of AdUE and of the softmax response that it starts from; "
    f"and the share of test examples whose score was clamped at 1e-7 or 1 − 1e-7; {SPREAD}.",
    ("Model", "Dataset"),
    lambda run, settings: [Block(_fits(run, settings), [FIELDS])],
    labels=lambda fits: fits.labels,
)
