"""Files on this machine that a configuration names: there, readable, of the model that its file describes.

Looked at where a run is planned only; the machine of a job need not have them.
"""

import json
import os
from pathlib import Path
from typing import Any

from peftuq.config.study import Study
from peftuq.data.archives import select
from peftuq.errors import UserError
from peftuq.files import read_text

LARGEST = 2**24  # bytes of a model's config.json


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
                check_model(folder, model.config["model_type"], where)


def _check_folder(folder: Path, patterns: list[str], where: str, key: str) -> None:
    if not folder.is_dir():
        raise UserError(f"{where}: there is no folder {folder}: correct the key {key}")
    if "{" in os.path.relpath(folder) and "{" in str(folder):
        raise UserError(f"{where}: {folder} has a brace, which Snakemake takes for a wildcard: rename the folder")
    for pattern in patterns:
        if not select(folder, [pattern]):
            raise UserError(f"{where}: no file in {folder} matches '{pattern}': correct the key files")


def check_model(folder: Path, model_type: str, where: str) -> dict[str, Any]:
    """A model folder's config.json. `UserError` unless it is of this type and asks for no code of its own."""
    file = folder / "config.json"
    try:
        found = json.loads(read_text(file, LARGEST))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{file}: not valid JSON ({error}): fetch the model again ({where})") from error
    if not isinstance(found, dict):
        raise UserError(f"{file}: is no object {{…}}: fetch the model again ({where})")
    if "auto_map" in found:
        raise UserError(f"{file}: auto_map asks for code of the model's own, which is never run: use a model that "
                        f"transformers has, or remove the key ({where})")  # fmt: skip
    if found.get("model_type") != model_type:
        raise UserError(f"{file}: model_type is {found.get('model_type')!r}, and the model's file says '{model_type}': "
                        f"correct config.model_type, or the folder ({where})")  # fmt: skip
    return found
