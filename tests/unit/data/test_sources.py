"""Local sources, and what all kinds of source share: all files or none, and a record of each."""

import hashlib

import pytest
from pydantic import ValidationError

from peftuq.data import sources
from peftuq.errors import UserError


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "model"
    (folder / "sub").mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "sub" / "weights.bin").write_bytes(b"W")
    return folder


def test_a_local_folder_is_copied(tmp_path, model):
    provenance = sources.fetch("local", {"folder": str(model)}, tmp_path / "out", tmp_path / "cache")
    assert provenance["files"] == {
        "config.json": hashlib.sha256(b"{}").hexdigest(),
        "sub/weights.bin": hashlib.sha256(b"W").hexdigest(),
    }
    (tmp_path / "out" / "config.json").write_text("edited")
    assert (model / "config.json").read_text() == "{}"


def test_a_failed_fetch_leaves_what_was_there(tmp_path, model):
    source = {"folder": str(model), "files": ["config.json"]}
    sources.fetch("local", source, tmp_path / "out", tmp_path / "cache")
    with pytest.raises(UserError, match=r"matches '\*\.safetensors'.*'files'"):
        sources.fetch("local", {**source, "files": ["*.safetensors"]}, tmp_path / "out", tmp_path / "cache")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["config.json"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "out"]


def test_a_second_fetch_replaces_the_first(tmp_path, model):
    sources.fetch("local", {"folder": str(model)}, tmp_path / "out", tmp_path / "cache")
    sources.fetch("local", {"folder": str(model), "files": ["sub/*"]}, tmp_path / "out", tmp_path / "cache")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["sub"]


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(UserError, match=r"no folder .*absent.*'folder'"):
        sources.fetch("local", {"folder": str(tmp_path / "absent")}, tmp_path / "out", tmp_path / "cache")


@pytest.mark.parametrize("kind", ["hub", "registry", "local"])
def test_unknown_keys_are_refused(tmp_path, kind):
    with pytest.raises(ValidationError, match="surprise"):
        sources.fetch(kind, {"surprise": 1}, tmp_path / "out", tmp_path / "cache")


def test_a_file_that_may_not_be_read_is_named(tmp_path, model, monkeypatch):
    def denied(path, *_):
        raise PermissionError(13, "denied", str(path))

    monkeypatch.setattr(sources, "open", denied, raising=False)
    with pytest.raises(UserError, match=r"model/.*: may not be read"):
        sources.fetch("local", {"folder": str(model)}, tmp_path / "out", tmp_path)
