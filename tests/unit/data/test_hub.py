"""The hub's own client against a hub on this machine: what is recorded, what each failure says."""

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from huggingface_hub import constants

from peftuq.data import sources
from peftuq.errors import UserError

COMMIT = "0123456789abcdef0123456789abcdef01234567"
FILES = {"sst2/train.parquet": b"T" * 5000, "sst2/test.parquet": b"S", "cola/train.parquet": b"C"}
ERRORS = {"lab/gated": (403, "GatedRepo"), "lab/absent": (404, "RepoNotFound"), "lab/broken": (503, "")}


def entry(name: str, content: bytes) -> dict:
    return {"type": "file", "path": name, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}


class Hub(BaseHTTPRequestHandler):
    """One dataset repository, lab/data, and others that fail; `cut` drops the first download half way."""

    cut = False

    def log_message(self, *args):
        pass

    def _reply(self, status: int, body: bytes = b"", headers: dict[str, str] = {}) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def _json(self, value) -> None:
        self._reply(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def do_GET(self):
        path = self.path.split("?")[0]
        for repo, (status, code) in ERRORS.items():
            if repo in path:
                return self._reply(status, b"{}", {"X-Error-Code": code} if code else {})
        if "lost" in path:
            return self._reply(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
        if "/tree/" in path:
            return self._json([entry(name, content) for name, content in FILES.items()])
        if path.startswith("/api/"):
            return self._json({"id": "lab/data", "sha": COMMIT, "siblings": [{"rfilename": n} for n in FILES]})
        name = path.split(f"/resolve/{COMMIT}/")[-1]
        return self._file(FILES[name]) if name in FILES else self._reply(404, b"{}")

    do_HEAD = do_GET

    def _file(self, content: bytes) -> None:
        headers = {"ETag": f'"{hashlib.sha1(content).hexdigest()}"', "X-Repo-Commit": COMMIT}
        if self.command == "GET" and Hub.cut and len(content) > 100:
            Hub.cut = False
            self.send_response(200)
            for name, value in {"Content-Length": str(len(content)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content[: len(content) // 2])
            self.close_connection = True
            return None
        return self._reply(200, content, headers)


@pytest.fixture
def hub(tmp_path, monkeypatch):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    here = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(constants, "ENDPOINT", here)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", here + "/{repo_id}/resolve/{revision}/{filename}")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hf"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    Hub.cut = False
    yield server
    server.shutdown()
    server.server_close()


def fetch(folder: Path, **keys) -> dict:
    source = {"repo": "lab/data", "files": ["sst2/*"], **keys}
    return sources.fetch("hub", source, folder, folder.parent / "cache")


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_a_branch_is_resolved_to_its_commit(hub, tmp_path):
    provenance = fetch(tmp_path / "out")
    assert (provenance["revision"], provenance["commit"]) == ("main", COMMIT)
    assert provenance["files"]["sst2/train.parquet"] == hashlib.sha256(FILES["sst2/train.parquet"]).hexdigest()
    assert names(tmp_path / "out") == ["sst2/test.parquet", "sst2/train.parquet"]


def test_what_was_fetched_before_for_another_dataset_is_left_out(hub, tmp_path):
    fetch(tmp_path / "sst2")
    fetch(tmp_path / "cola", files=["cola/*"])
    assert names(tmp_path / "cola") == ["cola/train.parquet"]


def test_a_dropped_download_is_completed(hub, tmp_path):
    Hub.cut = True
    provenance = fetch(tmp_path / "out")
    assert provenance["files"]["sst2/train.parquet"] == hashlib.sha256(FILES["sst2/train.parquet"]).hexdigest()
    assert not Hub.cut


def test_the_second_fetch_needs_no_hub(hub, tmp_path, monkeypatch):
    first = fetch(tmp_path / "out")
    hub.shutdown()
    hub.server_close()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert fetch(tmp_path / "again") == first


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"repo": "lab/gated"}, r"lab/gated: is gated: accept its terms.*HF_TOKEN"),
        ({"repo": "lab/absent"}, r"lab/absent: not found, or private: .*'repo'"),
        ({"repo": "not a name"}, r"not a name: is not a repository's name.*'repo'"),
        ({"revision": "lost"}, r"no revision 'lost': correct the key 'revision'"),
        ({"files": ["absent/*"]}, r"nothing in it matches 'absent/\*'.*'files'"),
        ({"repo": "lab/broken"}, r"lab/broken: the hub is out of reach"),
    ],
)
def test_what_goes_wrong_is_one_line_with_the_remedy(hub, tmp_path, monkeypatch, keys, message):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with pytest.raises(UserError, match=message) as error:
        fetch(tmp_path / "out", **keys)
    assert "\n" not in str(error.value) and not (tmp_path / "out").exists()


def test_no_hub_within_reach(hub, tmp_path, monkeypatch):
    hub.shutdown()
    hub.server_close()
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with pytest.raises(UserError, match="lab/data: the hub is out of reach: connect this machine, or allow another"):
        fetch(tmp_path / "out")


def test_offline_mode_without_the_files(hub, tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match="HF_HUB_OFFLINE is set and its files are not all in HF_HOME"):
        fetch(tmp_path / "out")
