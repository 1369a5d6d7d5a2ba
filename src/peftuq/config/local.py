"""Files on this machine that a configuration names: there, readable, of the model that its file describes.

Looked at where a run is planned only; the machine of a job need not have them.
"""

import os
from pathlib import Path

from peftuq.config import schema
from peftuq.config.study import Study
from peftuq.data.archives import select
from peftuq.data.model_files import ModelFolder
from peftuq.errors import UserError


def check_local(study: Study) -> None:
    """Raises `UserError` for a local folder that is not there or lacks what is wanted of it, or for another model."""
    for name in study.dataset_names:
        source = study.dataset(name).sources.local
        if source is not None and study.source_of(name) == "local":
            root = Path(study.config.local_root or "").expanduser()
            where = f"config/datasets/{name}.yaml: sources.local"
            wanted = [source.files[part] for part in study.preparation(name).splits.used]
            _check_folder(root / source.folder, wanted, where, "folder, or local_root in the configuration")
    for name in dict.fromkeys(setting.model for setting in study.settings):
        if study.model_source(name) == "local":
            model = study.models.get(name, "model", "")
            where, folder = f"config/models/{name}.yaml: sources.local", Path(model.sources.local.folder).expanduser()
            _check_folder(folder, model.sources.local.files, where, "folder")
            if model.gguf is None:
                check_model(folder, model, where)


def _check_folder(folder: Path, patterns: list[str], where: str, key: str) -> None:
    if not folder.is_dir():
        raise UserError(f"{where}: there is no folder {folder}: correct the key {key}")
    if "{" in os.path.relpath(folder) and "{" in str(folder):
        raise UserError(f"{where}: {folder} has a brace, which Snakemake takes for a wildcard: rename the folder")
    for pattern in patterns:
        if not select(folder, [pattern]):
            raise UserError(f"{where}: no file in {folder} matches '{pattern}': correct the key files")


def check_model(folder: Path, model: schema.Model, where: str) -> None:
    """A local model's files are whole and fit each other and the model's file. `where` names that one's source."""
    assert model.sources.local is not None
    names = [name.as_posix() for name in select(folder, model.sources.local.files)]
    found = ModelFolder.of(folder, f"put the model's own file there, or correct {where}", names).check()
    for key in ("model_type", *sorted(schema.SIZES)):
        if key in found and key in model.config and found[key] != model.config[key]:
            raise UserError(f"{folder / 'config.json'}: {key} is {found[key]!r}, and the model's file says "
                            f"{model.config[key]!r}: correct config.{key} there, or the folder ({where})")  # fmt: skip
