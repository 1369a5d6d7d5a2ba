"""The dependence of AdUE's validation AUROC on each hyper-parameter, of runs with a grid wider than the paper's."""

from collections.abc import Mapping, Sequence
from typing import Any

from peftuq.cells import Setting
from peftuq.report.headings import SPREAD, Headings
from peftuq.report.methods import ADUE
from peftuq.report.run import OverSeeds, Run
from peftuq.report.tables import Entry, Row, Table, in_blocks, mark_best, measured

_KEYS = {"alpha": "α", "beta": "β", "lambda": "λ"}
BySeed = Mapping[int, Mapping[str, Mapping[float, float]]]  # hyper-parameter → value → the best validation AUROC
_PAPERS = 4  # values of α, and of β, in the paper's grid


def is_wider(run: Run) -> bool:
    """Whether the run searched more values of α or β than the paper."""
    params = run.methods.get(ADUE.variant, {}).get("params", {})
    return any(len(params.get(key, [])) > _PAPERS for key in ("alpha", "beta"))


def sensitivity(run: Run, settings: Sequence[Setting]) -> Table | None:
    """The best validation AUROC that each value of α, β and λ allows."""
    asked = {s: seeds for s in settings if (seeds := run.seeds(s, ADUE.predictive, ADUE.variant))}
    if not asked or not is_wider(run):
        return None
    headings = Headings(run, list(asked))
    found = {setting: _by_seed(run, setting, seeds) for setting, seeds in asked.items()}
    columns = []
    for key in _KEYS:
        values = sorted({value for of_seeds in found.values() for best in of_seeds.values() for value in best[key]})
        entries = [mark_best([_entry(found[s], asked[s], key, v) for v in values], "higher") for s in asked]
        columns += [((_KEYS[key], f"{v:g}"), row) for v, row in zip(values, zip(*entries, strict=True), strict=True)]
    caption = (
        "Of all fits of the trained head with a value of α or β, the highest error-AUROC ×100 on the validation split; "
        f"of λ, that of the fit with the hyper-parameters that were chosen at λ = 100; {SPREAD}. Bold: best value."
    )
    rows = tuple(Row(labels, entries) for labels, entries in columns)
    heads = in_blocks([[headings.column(setting)] for setting in asked])
    return Table("adue_sensitivity", "AdUE’s hyper-parameters.", caption, ("", "Value"), heads, rows)


def _by_seed(run: Run, setting: Setting, seeds: Sequence[int]) -> BySeed:
    found = {seed: run.scores(setting, seed, "adue") for seed in seeds}
    return {
        seed: {key: _best(scores.diagnostics["fits"], key) for key in _KEYS}
        for seed, scores in found.items()
        if scores is not None
    }


def _best(fits: Sequence[Mapping[str, Any]], key: str) -> dict[float, float]:
    here = [fit for fit in fits if fit["start"] == "trained" and fit["epochs"] and fit["valid_auroc"] is not None]
    if key != "lambda":
        here = [fit for fit in here if fit["lambda"] == 100]
    return {value: max(f["valid_auroc"] for f in here if f[key] == value) for value in {fit[key] for fit in here}}


def _entry(found: BySeed, seeds: Sequence[int], key: str, value: float) -> Entry:
    values = {seed: best[key][value] for seed, best in found.items() if value in best[key]}
    return measured(OverSeeds(values, [seed for seed in seeds if seed not in values]), 100)
