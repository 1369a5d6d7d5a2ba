"""Needs of the rules of data.smk: weights and datasets, fetched and prepared."""

import hashlib
import os
from functools import cached_property
from pathlib import Path
from typing import Any

from peftuq.data.archives import select
from peftuq.data.schema import HubSource, LocalSource, RegistrySource
from peftuq.data.source_schema import Kind
from peftuq.jobs import identity
from peftuq.jobs.context import Context
from peftuq.jobs.rule import Rule, canonical
from peftuq.specs import fetch


class FetchModel(Rule):
    script = "fetch_model"

    def inputs(self, w: Any) -> list[str]:
        """The files of a local folder, which may change; what is published is pinned or fetched once."""
        if self._study.model_source(w.model) != "local":
            return []
        source = self._study.models.get(w.model, "model", "").sources.local
        return _local(Path(source.folder).expanduser(), source.files)

    def spec(self, w: Any) -> str:
        model = self._study.models.get(w.model, "model", "")
        kind = self._study.model_source(w.model)
        source = model.sources.offered[kind].model_dump()
        return canonical(fetch.FetchModel(name=w.model, kind=kind, source=source, gguf=model.gguf))


class FetchData(Rule):
    script = "fetch_data"

    @cached_property
    def sources(self) -> dict[str, tuple[Kind, dict[str, Any]]]:
        """Sources to fetch, (kind, description) by key: several datasets may come out of one archive or folder."""
        return {self.key(dataset): self.source_of(dataset) for dataset in self._study.dataset_names}

    def key(self, dataset: str) -> str:
        """The key of a dataset's source, `source` in paths."""
        kind, source = self.source_of(dataset)
        return f"{kind}-{hashlib.sha256(identity.spec(kind=kind, source=source).encode()).hexdigest()[:12]}"

    def source_of(self, dataset: str) -> tuple[Kind, dict[str, Any]]:
        """A dataset's source. A local folder is one, too: no other machine has it."""
        wanted = self._study.preparation(dataset)
        source = self._study.dataset(dataset).sources.offered[wanted.source]
        if isinstance(source, LocalSource):
            patterns = sorted({wanted.files[name] for name in wanted.splits.used})
            return wanted.source, {"folder": f"{self._study.config.local_root}/{source.folder}", "files": patterns}
        assert isinstance(source, HubSource | RegistrySource)
        return wanted.source, source.fetch.model_dump()

    def inputs(self, w: Any) -> list[str]:
        """The files of a local folder, which may change; what is published is pinned or fetched once."""
        kind, source = self.sources[w.source]
        if kind != "local":
            return []
        return _local(Path(source["folder"]).expanduser(), source["files"])

    def spec(self, w: Any) -> str:
        kind, source = self.sources[w.source]
        return canonical(fetch.FetchData(kind=kind, source=source))


class PrepareData(Rule):
    script = "prepare_data"

    def __init__(self, context: Context, fetch_data: FetchData):
        super().__init__(context)
        self._fetch_data = fetch_data

    def source(self, w: Any) -> str:
        """The provenance of the source's files."""
        return self._paths.source(self._fetch_data.key(w.dataset))

    def inputs(self, w: Any) -> str:
        return self.source(w)

    def files(self, w: Any) -> str:
        return self._paths.source_files(self._fetch_data.key(w.dataset))

    def spec(self, w: Any) -> str:
        return canonical(self._study.preparation(w.dataset))


def _local(folder: Path, patterns: list[str]) -> list[str]:
    # Snakemake takes braces for wildcards: the checkout's own may be left out, others `check_local` refuses.
    shown = os.path.relpath(folder) if "{" in str(folder) else folder
    return [os.path.join(shown, name) for name in select(folder, patterns)]
