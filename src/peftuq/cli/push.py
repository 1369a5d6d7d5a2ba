"""An adapter to a model hub, with what says how far to trust it: a bundle of `peftuq fit`, and its card.

The repository gets the adapter's files, the bundle's below uq/, and as README.md the bundle's card, else the adapter's
own, or a short one. Nothing but safetensors, JSON, text and pictures is sent. The hub is that of huggingface_hub: it is
told who you are by `hf auth login` or HF_TOKEN, and where the hub is by HF_ENDPOINT.

examples:
  peftuq push results/adapters/minilm/sst2/lora/seed0 me/minilm-sst2 --base-model nreimers/MiniLM-L6-H384-uncased
  peftuq push adapter/ me/my-adapter --bundle uq/ --private
  peftuq push adapter/ me/my-adapter --dry-run          what would be sent; nothing is
"""

import argparse
import json
import re
from collections.abc import Iterable
from pathlib import Path

from peftuq.cli import _shared
from peftuq.errors import UserError

_REPO = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
_BASE = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?", re.ASCII)
_SENT = {
    ".safetensors",
    ".json",
    ".jsonl",
    ".csv",
    ".parquet",
    ".md",
    ".txt",
    ".html",
    ".png",
    ".svg",
    ".pdf",
    ".model",
}
_CARDS = ("README.md", "card.md")
_LARGEST = 2**24  # bytes of a card
_CONFIG, _WEIGHTS = "adapter_config.json", "adapter_model.safetensors"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("adapter", type=Path, help="a folder in PEFT's format")
    parser.add_argument("repo", help="the hub's repository: owner/name")
    parser.add_argument("--bundle", type=Path, help="the folder that `peftuq fit` wrote")
    parser.add_argument("--base-model", help="the hub's name of the model that was adapted, where it is not noted")
    parser.add_argument("--private", action="store_true", help="a new repository is not public")
    parser.add_argument("--dry-run", action="store_true", help="list the files; send nothing")
    _shared.add_json(parser)


def run(args: argparse.Namespace) -> Iterable[str]:
    if not _REPO.fullmatch(args.repo):
        raise UserError(f"{args.repo}: no name of a repository: write owner/name")
    files = _files(args.adapter, args.bundle)
    config, base = _configuration(args.adapter, args.base_model)
    contents: dict[str, bytes | Path] = {**files, _CONFIG: config}
    contents["README.md"] = _card(args.adapter, args.bundle, base)
    sizes = {name: len(c) if isinstance(c, bytes) else c.stat().st_size for name, c in sorted(contents.items())}
    url = None if args.dry_run else _send(args.repo, contents, args.private)
    if args.json:
        return _shared.as_json({"repo": args.repo, "base_model": base, "files": sizes, "url": url})
    listed = [f"  {size:>12,}  {name}" for name, size in sizes.items()]
    return [f"{args.repo}: {'would be sent' if url is None else url}", *listed]


def _files(adapter: Path, bundle: Path | None) -> dict[str, Path]:
    """Files by their place in the repository. Raises `UserError` for a folder that lacks some, or holds others."""
    for name in (_CONFIG, _WEIGHTS):
        if not (adapter / name).is_file():
            raise UserError(f"{adapter}: has no {name}: name a folder that PEFT saved, as safetensors")
    if bundle is not None and not bundle.is_dir():
        raise UserError(f"--bundle {bundle}: there is no such folder: name the one that `peftuq fit` wrote")
    found: dict[str, Path] = {}
    for folder, place in ((adapter, ""), *([(bundle, "uq/")] if bundle is not None else [])):
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder).as_posix()
            if path.is_dir() or any(part.startswith(".") for part in Path(name).parts):
                continue
            if path.suffix not in _SENT or not path.is_file():
                raise UserError(f"{path}: is not sent: only {', '.join(sorted(_SENT))} are; move it away")
            found[place + name] = path
    return found


def _configuration(adapter: Path, named: str | None) -> tuple[bytes, str]:
    """The adapter's configuration with the hub's name of its base model, and that name."""
    try:
        config = json.loads((adapter / _CONFIG).read_text())
        noted = config.get("base_model_name_or_path")
    except (ValueError, AttributeError) as error:
        raise UserError(f"{adapter / _CONFIG}: not a JSON mapping ({error}): name a folder that PEFT saved") from error
    base = named or noted
    if not isinstance(base, str) or not _BASE.fullmatch(base) or Path(base).exists():
        raise UserError(f"{adapter / _CONFIG}: base_model_name_or_path is {noted!r}, no model of a hub: name it with "
                        "--base-model")  # fmt: skip
    return json.dumps({**config, "base_model_name_or_path": base}, indent=2, sort_keys=True).encode(), base


def _card(adapter: Path, bundle: Path | None, base: str) -> bytes:
    """The repository's README, with the metadata by which a hub lists it."""
    from huggingface_hub import ModelCardData

    from peftuq.files import read_text

    folders = [folder for folder in (bundle, adapter) if folder is not None]
    written = [path for folder in folders for name in _CARDS if (path := folder / name).is_file()]
    text = read_text(written[0], _LARGEST) if written else f"# Adapter of {base}\n\nPushed by `peftuq push`.\n"
    if text.startswith("---"):
        return text.encode()
    tags = ["peft", "lora", "uncertainty"]
    data = ModelCardData(library_name="peft", base_model=base, tags=tags)
    return f"---\n{data.to_yaml()}\n---\n{text}".encode()


def _send(repo: str, contents: dict[str, bytes | Path], private: bool) -> str:
    """Create the repository unless it exists, and commit all files at once; returns the commit's address."""
    from huggingface_hub import CommitOperationAdd, HfApi

    api = HfApi(library_name="peftuq")
    operations = [CommitOperationAdd(name, content) for name, content in contents.items()]
    try:
        api.create_repo(repo, private=private or None, exist_ok=True)
        return str(api.create_commit(repo, operations, commit_message="Adapter and its uncertainty").commit_url)
    except Exception as error:
        # The client lets errors of several HTTP libraries through, so none can be named in advance.
        raise UserError(f"{repo}: {_explain(error, api.endpoint)}") from error


def _explain(error: Exception, endpoint: str) -> str:
    """One line: what went wrong and what mends it."""
    from huggingface_hub import errors

    reason = (str(error) or type(error).__name__).split("\n")[0]
    if isinstance(error, errors.HFValidationError):
        return f"{reason}: correct the repository's name"
    if isinstance(error, errors.OfflineModeIsEnabled):
        return "HF_HUB_OFFLINE is set: unset it to push"
    if isinstance(error, errors.HfHubHTTPError) and error.response is not None:
        remedies = {401: "log in with `hf auth login` or set HF_TOKEN", 403: "your token may not write there"}
        status = error.response.status_code
        return f"the hub answered {status}: {remedies.get(status, reason)}"
    return f"the hub at {endpoint} is out of reach ({reason}): connect this machine, or set HF_ENDPOINT"
