"""Files from the model hub, through its own client: it resumes downloads and keeps a cache (HF_HOME)."""

import os
import shutil
from pathlib import Path

from peftuq.data.archives import select
from peftuq.data.source_schema import Hub
from peftuq.errors import UserError


def fetch(source: Hub, folder: Path) -> dict[str, str]:
    """Lay the repository's wanted files out in `folder`; returns the repository and the commit they are from.

    Files are hard links into the client's cache where the file system allows, copies elsewhere: never edit
    them. Raises `UserError` if the hub is out of reach, the repository gated or missing, the revision unknown.
    """
    from huggingface_hub import snapshot_download

    try:
        snapshot = Path(
            snapshot_download(
                source.repo,
                repo_type=source.repo_type,
                revision=source.revision,
                allow_patterns=list(source.files),
            )
        )
    except Exception as error:
        # The client lets errors of several HTTP libraries through, so none can be named in advance.
        if isinstance(error, OSError) and error.errno is not None:
            raise  # a full or read-only disk
        raise UserError(f"hub {source.repo_type} {source.repo}: {_explain(error, source)}") from error
    for name in select(snapshot, source.files):  # the client's folder also holds what was fetched before
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        _link_or_copy((snapshot / name).resolve(), folder / name)
    return {**source.model_dump(include={"repo", "repo_type", "revision"}), "commit": snapshot.name}


def _explain(error: Exception, source: Hub) -> str:
    """One line: what went wrong and what mends it."""
    from huggingface_hub import constants, errors

    if constants.HF_HUB_OFFLINE:
        away = "HF_HUB_OFFLINE is set and its files are not all in HF_HOME: unset it for one run"
    else:
        away = "the hub is out of reach: connect this machine, or allow another source (key 'sources')"
    remedies = [
        (
            errors.GatedRepoError,
            "is gated: accept its terms on its page, then `hf auth login` or set HF_TOKEN",
        ),
        (errors.RevisionNotFoundError, f"has no revision '{source.revision}': correct the key 'revision'"),
        (errors.RepositoryNotFoundError, "not found, or private: correct the key 'repo' or set HF_TOKEN"),
        (errors.HFValidationError, "is not a repository's name: correct the key 'repo'"),
        (errors.LocalEntryNotFoundError, away),
        (errors.OfflineModeIsEnabled, away),
    ]
    known = next((remedy for kind, remedy in remedies if isinstance(error, kind)), None)
    reason = (str(error) or type(error).__name__).split("\n")[0]
    return known or f"download failed: {reason}: run again, it resumes"


def _link_or_copy(file: Path, target: Path) -> None:
    try:
        os.link(file, target)
    except OSError:
        shutil.copyfile(file, target)
