"""The choice of AdUE's hyper-parameter search in each setting."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from peftuq.cells import Setting
from peftuq.report.headings import SPREAD, Headings
from peftuq.report.methods import ADUE
from peftuq.report.run import OverSeeds, Run
from peftuq.report.tables import MISSING, Column, Entry, Row, Table, measured

_KEYS = {"lr": "Rate", "epochs": "Epochs", "alpha": "α", "beta": "β"}


def search(run: Run, settings: Sequence[Setting]) -> Table | None:
    """The hyper-parameters selected for AdUE, by how many seeds chose them, and the selection's AUROC."""
    headings = Headings(run, settings)
    rows = [
        Row((headings.model(setting), setting.dataset), _entries(run, setting, seeds))
        for setting in settings
        if (seeds := run.seeds(setting, ADUE.predictive, ADUE.variant))
    ]
    if not rows:
        return None
    caption = (
        "Learning rate, epochs, α and β with the highest error-AUROC on the validation split, by the number of seeds "
        "that chose them (0 epochs: every fit ranked the validation split worse than the head as it was); "
        "the validation error-AUROC ×100 of AdUE and of the softmax response that it starts from; "
        f"and the share of test examples whose score was clamped at 1e-7 or 1 − 1e-7; {SPREAD}."
    )
    columns = (
        *(Column(label) for label in _KEYS.values()),
        Column("AdUE", "Validation AUROC"),
        Column("SR", "Validation AUROC"),
        Column("Clamped, %"),
    )
    return Table("adue_search", "What AdUE’s search chose.", caption, ("Model", "Dataset"), columns, tuple(rows))


def _entries(run: Run, setting: Setting, seeds: Sequence[int]) -> tuple[Entry, ...]:
    notes: dict[int, dict[str, Any]] = {}
    for seed in seeds:
        scores = run.scores(setting, seed, "adue")
        if scores is not None:
            notes[seed] = scores.diagnostics
    missing = [seed for seed in seeds if seed not in notes]
    chosen = [note["selected"][ADUE.variant] for note in notes.values()]
    texts = [Entry(_counted([fit[key] for fit in chosen]) or MISSING) for key in _KEYS]
    values = (
        {seed: note["selected"][ADUE.variant]["valid_auroc"] for seed, note in notes.items()},
        {seed: note["valid_auroc_sr"] for seed, note in notes.items()},
        {seed: note["selected"][ADUE.variant]["clamped"]["test"] for seed, note in notes.items()},
    )
    return (*texts, *(_over(of_seeds, missing) for of_seeds in values))


def _counted(values: Sequence[float]) -> str:
    """The values from the most chosen down: "0.001 (3), 0.0001 (2)"; a count of one and all is left out."""
    counts = Counter(values).most_common()
    return ", ".join(f"{value:g}" if len(counts) == 1 else f"{value:g} ({count})" for value, count in counts)


def _over(values: dict[int, float | None], missing: list[int]) -> Entry:
    undefined = [seed for seed, value in values.items() if value is None]
    defined = {seed: value for seed, value in values.items() if value is not None}
    return measured(OverSeeds(defined, missing, undefined, "no error on the validation split, or only errors"), 100)
