"""A job's identity changes with meaning, and with nothing else."""

import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peftuq import files
from peftuq.jobs import identity
from peftuq.jobs.codes import Codes
from peftuq.paths import Paths

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-1000, 1000) | st.floats(-1e6, 1e6) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from(["a", "b", "c", "d"]), JSON))
def test_spec_ignores_the_order_of_keys_and_the_type_of_whole_numbers(config):
    def as_floats(value):
        if isinstance(value, int) and not isinstance(value, bool):
            return float(value)
        if isinstance(value, dict):
            return {key: as_floats(value[key]) for key in reversed(list(value))}
        return [as_floats(item) for item in value] if isinstance(value, list) else value

    assert identity.spec(**config) == identity.spec(**as_floats(config))


def test_spec_distinguishes_swapped_values_and_true_from_one():
    assert identity.spec(a=1, b=2) != identity.spec(a=2, b=1)
    assert identity.spec(a=True) != identity.spec(a=1)


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A small `peftuq` of its own: script → high → low, and a sibling that nobody imports."""
    files = {
        "peftuq/__init__.py": "",
        "peftuq/low.py": "def f(x):\n    return x + 1\n",
        "peftuq/high.py": "from peftuq.low import f\n\n\ndef g(x):\n    '''Twice.'''\n    return f(f(x))  # why\n",
        "peftuq/other.py": "VALUE = 1\n",
        "peftuq/sub/__init__.py": "",
        "peftuq/sub/plugin.py": "import peftuq.low\n",
        "script.py": "from peftuq import high\n\nprint(high.g(1))\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(identity, "PACKAGE", tmp_path / "peftuq")

    def digest(*plugins):
        identity.code.cache_clear()
        identity._parse.cache_clear()
        return identity.code(tmp_path / "script.py", *plugins)

    return tmp_path, digest


def test_code_follows_transitive_imports_and_nothing_else(package):
    folder, digest = package
    before = digest()
    (folder / "peftuq/other.py").write_text("VALUE = 2\n")
    assert digest() == before
    (folder / "peftuq/low.py").write_text("def f(x):\n    return x + 2\n")
    assert digest() != before


def test_code_ignores_comments_docstrings_and_formatting(package):
    folder, digest = package
    before = digest()
    (folder / "peftuq/high.py").write_text(
        textwrap.dedent('''
        """A module's docstring."""
        from peftuq.low import f

        def g(x):
            """Something else."""

            return f( f(x) )
    ''')
    )
    assert digest() == before


def test_code_ignores_what_only_type_checkers_import(package):
    folder, digest = package
    low = folder / "peftuq/low.py"
    low.write_text(f"from typing import TYPE_CHECKING\n\n{low.read_text()}")
    before = digest()
    low.write_text(f"{low.read_text()}\n\nif TYPE_CHECKING:\n    from peftuq.other import VALUE\n")
    assert digest() == before
    (folder / "peftuq/other.py").write_text("VALUE = 2\n")
    assert digest() == before


def test_code_includes_a_plugin_that_no_import_names(package):
    folder, digest = package
    plugin = folder / "peftuq/sub/plugin.py"
    assert digest(plugin) != digest()
    before = digest(plugin)
    plugin.write_text("import peftuq.low\n\nX = 1\n")
    assert digest(plugin) != before


def test_definitions_tell_which_one_changed(package):
    folder, digest = package
    before = identity.definitions(folder / "script.py")
    assert before["peftuq.high"].keys() == {"its imports", "function g"}
    (folder / "peftuq/low.py").write_text("LIMIT: int = 3\n\n\ndef f(x):\n    return x + 1\n\n\nclass C:\n    pass\n")
    digest()
    after = identity.definitions(folder / "script.py")
    assert after["peftuq.low"].keys() == {"constant LIMIT", "function f", "class C"}
    assert after["peftuq.low"]["function f"] == before["peftuq.low"]["function f"]
    assert {module for module in before if before[module] != after[module]} == {"peftuq.low"}


def test_code_is_written_down_once_a_run_has_begun(package, tmp_path):
    folder, _ = package
    codes = Codes(Paths(str(tmp_path / "results")))
    early = codes.digest(folder / "script.py")
    assert not (tmp_path / "results").exists()
    codes.start()
    late = codes.digest(folder / "script.py", folder / "peftuq/sub/plugin.py")
    for digest in (early, late):
        assert files.read_json(tmp_path / f"results/.codes/{digest}.json") == codes.now(digest)


def test_real_scripts_reach_what_they_run_and_no_more():
    scripts = identity.PACKAGE.parents[1] / "workflow" / "scripts"
    scores = identity.PACKAGE / "scores"
    closure = identity.closure(scripts / "score.py", scores / "mahalanobis.py")
    assert {"score.py", "peftuq.artifacts", "peftuq.scores.mahalanobis"} <= closure.keys()
    assert not any(
        name.startswith(("peftuq.training", "peftuq.models", "peftuq.scores.adue.method")) for name in closure
    )
    assert "peftuq.training.loop" in identity.closure(scripts / "train.py")
