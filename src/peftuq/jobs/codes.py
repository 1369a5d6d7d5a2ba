"""The code that a run's jobs run, by its digest, written down so that `peftuq why` can name what changed in it."""

from pathlib import Path

from peftuq.files import write_json
from peftuq.jobs import identity
from peftuq.paths import Paths


class Codes:
    def __init__(self, paths: Paths):
        self._paths = paths
        self._sources: dict[str, tuple[Path, ...]] = {}  # digest → script and plug-ins
        self._started = False

    def digest(self, script: Path, *plugins: Path) -> str:
        found = identity.code(script, *plugins)
        self._sources[found] = (script, *plugins)
        if self._started:
            self._describe(found)
        return found

    def start(self) -> None:
        """A run begins: from now on the definitions behind every digest are written. A dry run leaves no file."""
        self._started = True
        for digest in self._sources:
            self._describe(digest)

    def now(self, digest: str) -> dict[str, dict[str, str]]:
        """Definitions in the code of a digest that was made here: module → definition → digest."""
        return identity.definitions(*self._sources[digest])

    def _describe(self, digest: str) -> None:
        path = self._paths.code(digest)
        if not Path(path).is_file():
            write_json(path, self.now(digest))
