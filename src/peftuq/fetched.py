"""Fetched models and datasets alike: where they came from, and beside that the files themselves.

Two names, for a workflow to pass on and depend on by: the provenance is small and has the sha256 of every file, so that
it decides whether anything is computed again; the folder is for those who read the files.
"""

from pathlib import Path

PROVENANCE = "provenance.json"
FILES = "files"


def files(provenance: str | Path) -> Path:
    """The folder of the files whose provenance this is."""
    return Path(provenance).parent / FILES
