"""Archives that are not trusted: hashed, and unpacked without a single member outside the folder."""

import errno
import hashlib
import lzma
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple

from peftuq.errors import UserError

_BAD_NAMES = (errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG)


class Member(NamedTuple):
    name: str
    is_file: bool  # a regular file: no link, device or folder
    is_folder: bool
    stream: IO[bytes] | None


def matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def select(folder: Path, patterns: Iterable[str]) -> list[Path]:
    """The files below `folder` whose path in it matches any of `patterns`: these paths, in order."""
    patterns = list(patterns)
    names = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return [name for name in names if matches(name.as_posix(), patterns)]


def extract(archive: Path, folder: Path, patterns: Iterable[str]) -> None:
    """Unpack the members that match `patterns` into `folder`; `UserError` for a damaged or an unsafe archive.

    Every member's path is checked, wanted or not: one that leaves the folder means that somebody meant harm.
    Links and devices are never created; a wanted one is refused.
    """
    try:
        for member in _members(archive):
            path = _safe(member.name, archive)
            if not member.is_folder and matches(path.as_posix(), patterns):
                _write(member, folder / path, archive)
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise UserError(f"{archive}: damaged archive ({error}); delete it to fetch it again") from error
    except (RuntimeError, NotImplementedError) as error:
        raise UserError(f"{archive}: encrypted or packed in an unknown way; delete it to fetch it again") from error
    except OSError as error:
        if error.errno is None:  # bz2's own; with a number it is the disk's, or a member's impossible name
            raise UserError(f"{archive}: damaged archive ({error}); delete it to fetch it again") from error
        if error.errno in _BAD_NAMES:
            raise UserError(f"{archive}: refused, a member's name is too long, or a file's and a folder's") from error
        raise


def _safe(name: str, archive: Path) -> PurePosixPath:
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in "".join(path.parts[:1]):
        raise UserError(f"{archive}: refused, its member '{name}' would be written outside the folder")
    return path


def _write(member: Member, target: Path, archive: Path) -> None:
    if not member.is_file:
        raise UserError(f"{archive}: refused, its member '{member.name}' is a link or a device, not a file")
    target.parent.mkdir(parents=True, exist_ok=True)
    with open(target, "wb") as written:
        shutil.copyfileobj(member.stream, written, 1 << 20)


def _members(archive: Path) -> Iterator[Member]:
    if zipfile.is_zipfile(archive):
        yield from _zip_members(archive)
    elif tarfile.is_tarfile(archive):
        yield from _tar_members(archive)
    else:
        raise UserError(f"{archive}: neither a zip nor a tar archive; delete it to fetch it again")


def _zip_members(archive: Path) -> Iterator[Member]:
    with zipfile.ZipFile(archive) as opened:
        for info in opened.infolist():
            # Zips made on other systems carry no Unix mode: what is no folder is then a file.
            kind = stat.S_IFMT(info.external_attr >> 16)
            is_file = not info.is_dir() and kind in (0, stat.S_IFREG)
            if is_file:
                with opened.open(info) as stream:
                    yield Member(info.filename, True, False, stream)
            else:
                yield Member(info.filename, False, info.is_dir(), None)


def _tar_members(archive: Path) -> Iterator[Member]:
    with tarfile.open(archive) as opened:
        for info in opened:
            stream = opened.extractfile(info) if info.isreg() else None
            yield Member(info.name, info.isreg(), info.isdir(), stream)


def sha256(file: Path) -> str:
    with open(file, "rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def join(pieces: Iterable[Path], target: Path) -> None:
    """Concatenate `pieces`, in order, into `target`; each piece is removed once it is copied."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with open(target, "wb") as whole:
        for piece in pieces:
            with open(piece, "rb") as part:
                shutil.copyfileobj(part, whole, 1 << 20)
            piece.unlink()
