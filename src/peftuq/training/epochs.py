"""Records after every epoch, kept while it trains, so that no second pass is needed."""

from collections.abc import Callable, Mapping
from pathlib import Path

from peftuq import artifacts
from peftuq.artifacts import Record
from peftuq.models.batching import Encoded


class Recorder:
    """Called at the end of each epoch; the records wait beside the checkpoint until the training is done.

    Of several processes each computes a part of them, and the one that `writes` writes them.
    """

    def __init__(self, parts: Mapping[str, Encoded], folder: Path, writes: bool = True):
        self._parts, self._folder, self._writes = parts, folder, writes

    def __call__(self, epoch: int, record: Callable[[Encoded], Record], valid: Record) -> None:
        records = {part: record(data) for part, data in self._parts.items()}
        if self._writes:
            artifacts.write_epochs(self._file(epoch), [{**records, "valid": valid}])

    def _file(self, epoch: int) -> Path:
        return self._folder / f"epoch{epoch}.safetensors"

    def all(self, epochs: int) -> list[dict[str, Record]]:
        """The records of every epoch, in order, by part."""
        files = [artifacts.EpochFile(self._file(epoch)) for epoch in range(1, epochs + 1)]
        return [{part: file.record(1, part) for part in file.parts} for file in files]
