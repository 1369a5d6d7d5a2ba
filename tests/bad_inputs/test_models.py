"""A local model's folder may hold anything: its configuration is looked at where the run is planned."""

import json

import pytest

from peftuq.config.local import check_model
from peftuq.errors import UserError

GOOD = {"model_type": "bert", "hidden_size": 8}
CONFIGS = {
    "gone": None,
    "empty": b"",
    "binary": bytes(range(256)),
    "truncated": json.dumps(GOOD).encode()[:-3],
    "utf-16": json.dumps(GOOD).encode("utf-16"),
    "list": b"[]",
    "deep": b"[" * 100_000,
    "long": b" " * (2**24 + 1),
    "no type": b"{}",
    "another type": b'{"model_type": "llama"}',
    "code of its own": json.dumps({**GOOD, "auto_map": {"AutoModel": "x.Model"}}).encode(),
}


@pytest.mark.parametrize("kind", CONFIGS)
def test_a_models_configuration(tmp_path, count, kind):
    if CONFIGS[kind] is not None:
        (tmp_path / "config.json").write_bytes(CONFIGS[kind])
    with pytest.raises(UserError, match=r"config\.json") as raised:
        check_model(tmp_path, "bert", "config/models/x.yaml")
    assert "\n" not in str(raised.value)
    count("model folder")


def test_a_byte_order_mark_is_no_mistake(tmp_path):
    (tmp_path / "config.json").write_bytes(b"\xef\xbb\xbf" + json.dumps(GOOD).encode())
    assert check_model(tmp_path, "bert", "") == GOOD
