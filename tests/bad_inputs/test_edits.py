"""Random edits of a valid configuration: it is planned, or one line says why not. Never a traceback."""

import copy
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from places import FILES

from peftuq.errors import UserError

pytestmark = pytest.mark.slow

LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 3), st.integers(), st.floats(), st.text(max_size=5),
    st.sampled_from(["point", "adue", "words", "tweets2", "plain", "local", "test",
                     "{text}", "1e-3", "ensemble-2", "ffn"]),
)  # fmt: skip
VALUES = st.recursive(
    LEAVES, lambda v: st.lists(v, max_size=3) | st.dictionaries(st.text(max_size=5), v, max_size=3), max_leaves=5
)


def places(content: Any, path: tuple = ()) -> list[tuple]:
    items = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    return [place for key, part in items for place in ((*path, key), *places(part, (*path, key)))]


@st.composite
def edits(draw: st.DrawFn) -> tuple[str, Any]:
    """A file with one to three of its values changed, removed, doubled or renamed."""
    file = draw(st.sampled_from(list(FILES)))
    content = copy.deepcopy(FILES[file])
    for _ in range(draw(st.integers(1, 3))):
        *path, key = draw(st.sampled_from(places(content)))
        parent = content
        for step in path:
            parent = parent[step]
        what = draw(st.sampled_from(["change", "remove", "rename", "double"]))
        if what == "change":
            parent[key] = draw(VALUES)
        elif what == "rename" and isinstance(parent, dict):
            parent[draw(st.text(max_size=8))] = parent.pop(key)
        elif what == "double" and isinstance(parent, list):
            parent.append(parent[key])
        elif len(parent) > 1 or path:
            parent.pop(key)
        if not places(content):
            break
    return file, content


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(edits())
def test_an_edited_configuration_is_planned_or_one_line(checkout, edit):
    file, content = edit
    for name, valid in FILES.items():
        checkout.write(name, valid)
    checkout.write(file, content)
    try:
        checkout.plan()
    except UserError as error:
        assert "\n" not in str(error) and ".yaml" in str(error), error
    assert checkout.kept() == ["kept.txt"]
