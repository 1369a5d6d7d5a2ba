"""Unpacking: what is wanted arrives, nothing leaves the folder, links are never made."""

import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from peftuq.data import archives
from peftuq.errors import UserError


def make_zip(path: Path, members: dict[str, bytes], modes: dict[str, int] = {}) -> Path:
    with zipfile.ZipFile(path, "w") as opened:
        for name, content in members.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = modes.get(name, 0) << 16
            opened.writestr(info, content)
    return path


def make_tar(path: Path, members: dict[str, bytes], links: dict[str, str] = {}) -> Path:
    with tarfile.open(path, "w:gz") as opened:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            opened.addfile(info, io.BytesIO(content))
        for name, target in links.items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            opened.addfile(info)
    return path


MAKERS = pytest.mark.parametrize("make", [make_zip, make_tar])


def written(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@MAKERS
def test_only_wanted_members_are_unpacked(tmp_path, make):
    archive = make(tmp_path / "a", {"x/keep.json": b"1", "x/deep/keep.json": b"2", "x/drop.txt": b"3"})
    archives.extract(archive, tmp_path / "out", ["x/*.json"])
    assert written(tmp_path / "out") == {"x/keep.json": b"1", "x/deep/keep.json": b"2"}


@MAKERS
@pytest.mark.parametrize("name", ["../evil", "x/../../evil", "/evil", "..\\evil", "C:/evil"])
def test_a_member_outside_the_folder_refuses_the_archive(tmp_path, make, name):
    archive = make(tmp_path / "a", {name: b"evil"})
    with pytest.raises(UserError, match=r"refused.*outside"):
        archives.extract(archive, tmp_path / "inner" / "out", ["wanted"])
    assert not list(tmp_path.rglob("*evil*"))


@pytest.mark.parametrize("target", ["/etc/passwd", "../../secret", "x"])
def test_a_wanted_link_is_refused(tmp_path, target):
    archive = make_tar(tmp_path / "a", {"x": b"1"}, {"link": target})
    with pytest.raises(UserError, match="link or a device"):
        archives.extract(archive, tmp_path / "out", ["*"])
    zipped = make_zip(tmp_path / "b", {"link": target.encode()}, {"link": 0o120777})
    with pytest.raises(UserError, match="link or a device"):
        archives.extract(zipped, tmp_path / "out", ["*"])


def test_a_link_cannot_redirect_a_later_member(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    archive = make_tar(tmp_path / "a", {}, {"dir": str(outside)})
    with tarfile.open(tmp_path / "b", "w") as both, tarfile.open(archive) as first:
        both.addfile(next(iter(first)))
        info = tarfile.TarInfo("dir/file")
        info.size = 1
        both.addfile(info, io.BytesIO(b"!"))
    archives.extract(tmp_path / "b", tmp_path / "out", ["dir/file"])
    assert not list(outside.iterdir()) and written(tmp_path / "out") == {"dir/file": b"!"}


@MAKERS
def test_a_damaged_archive_says_so(tmp_path, make):
    archive = make(tmp_path / "a", {"x": bytes(range(256)) * 400})
    content = archive.read_bytes()
    for broken in (b"not an archive at all", content[: len(content) // 2]):
        archive.write_bytes(broken)
        with pytest.raises(UserError, match="archive"):
            archives.extract(archive, tmp_path / "out", ["*"])


def patched(content: bytes, *bits: tuple[int, int, int]) -> bytes:
    """A zip of one member with other values at places of its local header and of its entry in the directory."""
    changed = bytearray(content)
    for local, central, value in bits:
        changed[local] = changed[changed.rfind(b"PK\x01\x02") + central] = value
    return bytes(changed)


@pytest.mark.parametrize("name", ["encrypted", "method", "bzip2", "lzma"])
def test_a_zip_that_cannot_be_unpacked_says_so(tmp_path, name):
    kind = {"bzip2": zipfile.ZIP_BZIP2, "lzma": zipfile.ZIP_LZMA}.get(name, zipfile.ZIP_DEFLATED)
    with zipfile.ZipFile(tmp_path / "a", "w", kind) as opened:
        opened.writestr("a.txt", b"hello" * 1000)
    whole = (tmp_path / "a").read_bytes()
    broken = {
        "encrypted": patched(whole, (6, 8, 1)),
        "method": patched(whole, (8, 10, 99)),
    }.get(name, whole[:50] + b"\1\2\3\4" + whole[54:])
    (tmp_path / "a").write_bytes(broken)
    with pytest.raises(UserError, match=r"/a: .*delete it to fetch it again") as raised:
        archives.extract(tmp_path / "a", tmp_path / "out", ["*"])
    assert "\n" not in str(raised.value)


@MAKERS
@pytest.mark.parametrize("names", [["a", "a/b"], ["a" * 300]])
def test_a_name_that_no_file_can_have_refuses_the_archive(tmp_path, make, names):
    archive = make(tmp_path / "archive", dict.fromkeys(names, b"1"))
    with pytest.raises(UserError, match="archive: refused"):
        archives.extract(archive, tmp_path / "out", ["*"])


def test_a_tar_of_the_current_folder(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "x").write_bytes(b"1")
    with tarfile.open(tmp_path / "a.tar", "w") as opened:
        opened.add(tmp_path / "in", arcname=".")
    archives.extract(tmp_path / "a.tar", tmp_path / "out", ["x"])
    assert written(tmp_path / "out") == {"x": b"1"}


def test_join_keeps_the_order_of_the_pieces(tmp_path):
    pieces = [tmp_path / name for name in ("z.001", "a.002", "m.003")]
    for number, piece in enumerate(pieces):
        piece.write_bytes(bytes([number]) * 5)
    archives.join(pieces, tmp_path / "new" / "whole")
    assert (tmp_path / "new" / "whole").read_bytes() == b"\0" * 5 + b"\1" * 5 + b"\2" * 5
