"""Patterns of the wildcards in the workflow's paths, and that every name of a run is among them."""

import re

from peftuq.config.study import Study
from peftuq.errors import UserError

NAME, PLUGIN = r"[a-z0-9][a-z0-9_.]*", r"[a-z][a-z0-9_]*"
PATTERNS = {
    "model": NAME,
    "dataset": NAME,
    "recipe": NAME,
    "seed": r"\d+",
    "predictive": rf"{PLUGIN}(-\d+)?",
    "score": PLUGIN,
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
        raise UserError(f"{kind} '{name}': names are of small letters, digits and _, the first a letter: rename it")
