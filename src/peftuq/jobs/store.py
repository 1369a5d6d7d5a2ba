"""Outputs of earlier jobs, by what they were made of: a job whose inputs have the same content need not compute again.

A job's key is a hash of the content of its input files (without their identities: equal results of other jobs are equal
inputs), its spec, its code and the software it runs with; for what was fetched stands its provenance, which has the
sha256 of every file. The store keeps an entry per key (which output has
which content) and the contents, by their sha256, as hard links: they cost no disk while the outputs exist, and never
change because files are replaced, not modified (files.py). Nothing depends on the store: removed, it is filled again.
"""

import hashlib
import os
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from peftuq.files import atomic, canonical, read_json, write_json
from peftuq.integrity import content, sha256


def software() -> list[str]:
    """Name and version of everything that is installed: its folder's name."""
    return sorted({info.name for folder in sys.path for info in Path(folder).glob("*.dist-info")})


def key(facts: Mapping[str, Any], inputs: Mapping[str, Sequence[str]], outputs: Iterable[str]) -> str:
    """A job's key. `facts`: its script, spec and code; `inputs`: its input files by name."""
    read = {name: [content(path) for path in paths] for name, paths in inputs.items()}
    described = {"job": dict(facts), "inputs": read, "outputs": [Path(path).name for path in outputs]}
    return hashlib.sha256(canonical([described, software()]).encode()).hexdigest()


@dataclass(frozen=True)
class Store:
    """Entries and contents below `folder`."""

    folder: Path

    def restore(self, key: str, outputs: Sequence[str]) -> bool:
        """Bring back what the job of this key made, to the byte; False, with nothing written, if it is not whole."""
        entry = self.folder / "jobs" / f"{key}.json"
        if not entry.is_file():
            return False
        made = read_json(entry)
        if not all(map(self._is_whole, made)):
            return False
        for digest, output in zip(made, outputs, strict=True):
            with atomic(output) as temporary:
                self._lay(digest, temporary)
        return True

    def keep(self, key: str, outputs: Sequence[str]) -> None:
        """Remember what the job of this key made."""
        made = [self._take(Path(output)) for output in outputs]
        write_json(self.folder / "jobs" / f"{key}.json", made)

    def _object(self, digest: str) -> Path:
        return self.folder / "objects" / digest[:2] / digest

    def _is_whole(self, digest: str) -> bool:
        """Whether the content is there and still itself: a file edited by hand is a hard link to it."""
        kept = self._object(digest)
        if not kept.is_file():
            return False
        if sha256(kept) != digest:
            kept.unlink()
            return False
        return True

    def _take(self, output: Path) -> str:
        digest = sha256(output)
        if not self._is_whole(digest):
            kept = self._object(digest)
            kept.parent.mkdir(parents=True, exist_ok=True)
            _link(output, kept)
        return digest

    def _lay(self, digest: str, path: Path) -> None:
        """Two results are never one file: the content is linked only if no other result is it already."""
        kept = self._object(digest)
        path.unlink(missing_ok=True)
        if kept.stat().st_nlink == 1:
            _link(kept, path)
        else:
            shutil.copyfile(kept, path)


def _link(source: Path, target: Path) -> None:
    """A hard link, or a copy where the file system has none."""
    try:
        os.link(source, target)
    except FileExistsError:
        pass  # another job was faster with the same content
    except OSError:
        shutil.copyfile(source, target)
