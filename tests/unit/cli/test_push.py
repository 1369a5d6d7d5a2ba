"""`peftuq push` against a hub on loopback: what it is sent, and what it may answer."""

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from safetensors.numpy import save_file

from peftuq.errors import UserError


class Hub(BaseHTTPRequestHandler):
    """The calls of a commit: create, preupload, commit; all files are taken as regular ones."""

    status = 200
    calls: list[tuple[str, str | None, bytes]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.calls.append((self.path, self.headers["Authorization"], body))
        answer: dict = {}
        if self.path == "/api/repos/create":
            answer = {"url": f"http://{self.headers['Host']}/me/mine", "id": "1"}
        elif "/preupload/" in self.path:
            names = [file["path"] for file in json.loads(body)["files"]]
            answer = {"files": [{"path": name, "uploadMode": "regular", "shouldIgnore": False} for name in names]}
        elif "/commit/" in self.path:
            answer = {"commitUrl": f"http://{self.headers['Host']}/me/mine/commit/1", "commitOid": "1"}
        content = json.dumps(answer if self.status == 200 else {"error": "no"}).encode()
        self.send_response(self.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments) -> None:
        pass


@pytest.fixture
def hub(monkeypatch):
    from huggingface_hub import constants

    class Own(Hub):
        calls: list = []

    server = ThreadingHTTPServer(("127.0.0.1", 0), Own)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "is_offline_mode", lambda: False, raising=False)
    monkeypatch.setenv("HF_TOKEN", "hf_mine")
    yield Own
    server.shutdown()
    server.server_close()


@pytest.fixture
def adapter(tmp_path):
    folder = tmp_path / "adapter"
    folder.mkdir()
    save_file({"w": np.ones(3, dtype=np.float32)}, folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "/data/models/small", "r": 8}')
    return folder


@pytest.fixture
def bundle(tmp_path):
    folder = tmp_path / "uq"
    folder.mkdir()
    (folder / "bundle.json").write_text("{}")
    (folder / "card.md").write_text("# How far to trust it\n")
    return folder


def committed(hub) -> dict[str, bytes]:
    (body,) = (body for path, _, body in hub.calls if path == "/api/models/me/mine/commit/main")
    lines = map(json.loads, body.splitlines())
    return {v["path"]: base64.b64decode(v["content"]) for line in lines if "path" in (v := line["value"])}


def test_the_hub_gets_the_adapter_its_bundle_and_a_card(peftuq, hub, adapter, bundle):
    lines = peftuq("push", str(adapter), "me/mine", "--base-model", "org/small", "--bundle", str(bundle), "--private")
    assert lines[0].startswith("me/mine: http://127.0.0.1:") and lines[0].endswith("/me/mine/commit/1")
    sent = committed(hub)
    assert sent.keys() == {
        "README.md",
        "adapter_config.json",
        "adapter_model.safetensors",
        "uq/bundle.json",
        "uq/card.md",
    }
    assert sent["adapter_model.safetensors"] == (adapter / "adapter_model.safetensors").read_bytes()
    assert json.loads(sent["adapter_config.json"]) == {"base_model_name_or_path": "org/small", "r": 8}
    assert b"base_model: org/small" in sent["README.md"] and sent["README.md"].endswith(b"# How far to trust it\n")
    assert json.loads(hub.calls[0][2])["name"] == "mine" and b"private" in hub.calls[0][2]
    assert {token for _, token, _ in hub.calls} == {"Bearer hf_mine"}


def test_a_dry_run_sends_nothing(peftuq, hub, adapter):
    found = json.loads(
        "\n".join(peftuq("push", str(adapter), "me/mine", "--base-model", "small", "--dry-run", "--json"))
    )
    assert found["url"] is None and set(found["files"]) == {
        "README.md", "adapter_config.json", "adapter_model.safetensors"
    }  # fmt: skip
    assert hub.calls == []


@pytest.mark.parametrize("status, remedy", [(401, "hf auth login"), (403, "may not write"), (500, "500")])
def test_what_the_hub_refuses_is_one_line(peftuq, hub, adapter, status, remedy):
    hub.status = status
    with pytest.raises(UserError, match=remedy):
        peftuq("push", str(adapter), "me/mine", "--base-model", "small")


def test_a_hub_that_is_out_of_reach_is_one_line(peftuq, hub, adapter, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(UserError, match=r"127\.0\.0\.1:9 is out of reach"):
        peftuq("push", str(adapter), "me/mine", "--base-model", "small")
