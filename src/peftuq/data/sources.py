"""Fetching files, of datasets and models alike: a source's description in, files laid out in a folder out."""

import shutil
from pathlib import Path
from typing import Any

from peftuq.data import archives, hub, registry
from peftuq.data.source_schema import Hub, Kind, Local, Registry
from peftuq.errors import UserError
from peftuq.files import atomic_folder, unreadable


def fetch(kind: Kind, source: dict[str, Any], folder: Path, cache: Path) -> dict[str, Any]:
    """Lay the files of `source` out in `folder`, which then holds exactly them; a failure leaves it as it was.

    Keys of `source` by `kind`: see `source_schema`. `cache` keeps downloaded archives, so that fetching again
    needs no network. Returns the provenance: the kind, what the source resolved to, and every file's sha256.
    Raises `UserError` with the remedy if the source cannot be had or is not what it should be.
    """
    described = {"hub": Hub, "registry": Registry, "local": Local}[kind].model_validate(source)
    with atomic_folder(folder) as temporary:
        if kind == "hub":
            origin = hub.fetch(described, temporary)
        elif kind == "registry":
            origin = registry.fetch(described, temporary, cache)
        else:
            origin = _copy(described, temporary)
        files = inventory(temporary)
        for pattern in described.files:
            if not any(archives.matches(name, [pattern]) for name in files):
                raise UserError(f"{kind} source: nothing in it matches '{pattern}': correct the key 'files'")
    return {"kind": kind, **origin, "files": files}


def inventory(folder: Path) -> dict[str, str]:
    """The sha256 of every file below `folder`, by its path in it."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): archives.sha256(path) for path in files}


def _copy(source: Local, folder: Path) -> dict[str, str]:
    """Where the folder is says nothing of its files: the same ones elsewhere are the same source."""
    origin = Path(source.folder).expanduser()
    if not origin.is_dir():
        raise UserError(f"local source: there is no folder {origin}: correct the key 'folder'")
    for name in archives.select(origin, source.files):
        try:
            open(origin / name, "rb").close()
        except OSError as error:
            raise UserError(f"{origin / name}: {unreadable(error)}") from error
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(origin / name, folder / name)
    return {}
