"""The methods that a run was asked for in some settings: the paper's, what a user added, and their ranks."""

from collections.abc import Sequence

import numpy as np

from peftuq.cells import Setting
from peftuq.errors import UserError
from peftuq.metrics.evaluate import METRICS
from peftuq.metrics.ranks import Ranks, average_ranks
from peftuq.report.headings import Headings
from peftuq.report.methods import NAMED, NAMED_VARIANTS, Method, title
from peftuq.report.run import Run
from peftuq.report.tables import UNDEFINED, Entry


def requested(run: Run, settings: Sequence[Setting], methods: Sequence[Method]) -> list[Method]:
    """The methods that the run was asked for in at least one of the settings."""
    return [m for m in methods if any(run.seeds(s, m.predictive, m.variant) for s in settings)]


def further(run: Run, settings: Sequence[Setting]) -> list[Method]:
    """The scores of the run that no table names: every variant that a score declares, of every predictive."""
    keys = dict.fromkeys(key for setting in settings for key in run.scored(setting))
    found = [Method(variant, "", predictive=predictive) for predictive, variant in keys]
    return [m._replace(title=title(m.key)) for m in found if m.key not in NAMED]


def further_variants(run: Run, settings: Sequence[Setting]) -> dict[str, str]:
    """Variants of scores that no table names, each with its title."""
    variants = dict.fromkeys(variant for setting in settings for _, variant in run.scored(setting))
    return {v: title(f"point/{v}") for v in variants if v not in NAMED_VARIANTS}


def with_further(run: Run, settings: Sequence[Setting], methods: Sequence[Method]) -> list[Method]:
    """The methods that the run was asked for, and after them its further scores."""
    return [*requested(run, settings, methods), *further(run, settings)]


def with_scores(run: Run, settings: Sequence[Setting], methods: Sequence[Method]) -> list[Method]:
    """As `with_further`, of the adapter as trained alone."""
    return [m for m in with_further(run, settings, methods) if m in methods or m.predictive == "point"]


def ranked(run: Run, settings: Sequence[Setting], methods: Sequence[Method], metric: str = "auroc") -> Ranks | None:
    """Average ranks, by `Method.key`, of the methods' means over the settings; None where no setting has all.

    In each setting the means are over the seeds for which every method has a value.
    """
    values: dict[str, dict[Setting, float | None]] = {m.key: {} for m in methods}
    for setting in settings:
        over = {m.key: run.over_seeds(setting, metric, m.variant, m.predictive).values for m in methods}
        common = [seed for seed in next(iter(over.values()), {}) if all(seed in found for found in over.values())]
        for key, found in over.items():
            values[key][setting] = float(np.mean([found[seed] for seed in common])) if common else None
    try:
        return average_ranks(values, METRICS[metric]["better"])
    except UserError:
        return None


def rank_entries(found: Ranks | None, methods: Sequence[Method], headings: Headings, decimals: int = 2) -> list[Entry]:
    """The methods' average ranks; settings that could not be ranked in a footnote."""
    if found is None:
        return [Entry(UNDEFINED, note="no setting has a value of every method") for _ in methods]
    left_out = ", ".join(headings.setting(setting) for setting in found.left_out)
    note = f"not ranked for want of a seed with a value of every method: {left_out}" if left_out else ""
    return [Entry(value=found.mean[m.key], decimals=decimals, note=note) for m in methods]
