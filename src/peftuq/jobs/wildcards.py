"""Patterns of the wildcards in the workflow's paths, and that every name of a run is among them."""

import re

from peftuq import plugins, strict
from peftuq.config.study import Study
from peftuq.errors import UserError

PATTERNS = {
    "model": strict.NAME,
    "dataset": strict.NAME,
    "recipe": strict.NAME,
    "seed": r"\d+",
    "predictive": rf"{plugins.NAME}(-\d+)?",
    "score": plugins.NAME,
    "source": r"[a-z]+-[0-9a-f]+",
}


def check_names(study: Study) -> None:
    """Raises `UserError` for a name that no rule's paths match: Snakemake would be silent where old results exist."""
    for setting in study.settings:
        for kind, name in setting._asdict().items():
            _check(kind, name)
    for cell, scores in study.cells.items():
        _check("predictive", cell.predictive)
        for score in scores:
            _check("score", score)


def _check(kind: str, name: str) -> None:
    if not re.fullmatch(PATTERNS[kind], name):
        raise UserError(f"{kind} '{name}': names are of small letters, digits and _: rename it")
