"""Declarations of plug-ins: read without importing them, the same as imported, and checked."""

import importlib
import shutil
from pathlib import Path

import pytest

from peftuq.config.methods import Methods, declaration
from peftuq.config.parameters import with_overrides
from peftuq.config.study import PACKAGE
from peftuq.errors import UserError
from peftuq.jobs import identity
from peftuq.plugins import Predictive, Score

METHODS = Methods(PACKAGE, {}, "config")
GOOD = 'SCORE = Score(version=1, reads="samples", variants=["a"], params={"power": 2.0})\ndef score(): ...\n'


def imported(file: Path):
    return importlib.import_module(identity.module(file))


@pytest.mark.parametrize("name", METHODS.scores)
def test_a_score_declares_what_is_read_without_importing_it(name):
    assert METHODS.score(name) == imported(METHODS.scores[name]).SCORE


@pytest.mark.parametrize("name", METHODS.predictives)
def test_a_predictive_declares_what_is_read_without_importing_it(name):
    assert METHODS.predictive(name) == imported(METHODS.predictives[name]).PREDICTIVE


def test_only_a_score_that_computes_with_torch_asks_for_its_environment():
    assert [name for name in METHODS.scores if METHODS.score(name).environment == "torch"] == ["adue"]


@pytest.mark.parametrize("old, new, message", [
    ("reads=", "read=", r"norm\.py: Score: unknown key 'read' \(did you mean 'reads'\?\); allowed: bounds"),
    ('reads="samples", ', "", r"norm\.py: Score: key 'reads' is missing"),
    ('"samples"', '"sample"', r"norm\.py: Score: key 'reads': input should be 'records' or 'samples', got 'sample'"),
    ("version=1", 'version="one"', r"norm\.py: Score: key 'version': input should be a valid integer.*got 'one'"),
    ('params={"power": 2.0}', "needs=['trian']", r"key 'needs\.0': input should be 'train', 'valid',.*got 'trian'"),
    ('["a"]', '["a"], probabilities=["b"]', r"norm\.py: Score: variants: must name every score it gives"),
    ('["a"]', "list('a')", r"norm\.py: line 1: Score\(…\): write its values as literals"),
])  # fmt: skip
def test_a_misspelt_declaration_is_one_line(tmp_path, old, new, message):
    file = tmp_path / "norm.py"
    assert old in GOOD
    file.write_text(GOOD.replace(old, new))
    with pytest.raises(UserError, match=message) as raised:
        declaration(file, Score)
    assert "\n" not in str(raised.value)


def test_a_shared_fit_has_parameters_of_its_own(tmp_path):
    file = tmp_path / "p.py"
    file.write_text('P = Predictive(version=1, reads="laplace", sized=False, samples=True, fit=["rank"])\n')
    with pytest.raises(UserError, match=r"p\.py: Predictive: fit: rank must be among params"):
        declaration(file, Predictive)


def test_a_file_beside_the_others_is_a_plug_in(tmp_path):
    for folder in ("adapters", "predictives", "scores"):
        shutil.copytree(PACKAGE / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    Path(tmp_path / "scores/norm.py").write_text(GOOD)
    found = Methods(tmp_path, {"norm": {"power": 3}}, "config")
    assert found.score("norm").params == {"power": 3} and found["norm"].variants == ["a"]
    with pytest.raises(UserError, match=r"config: methods\.norm\.power: must be float like 2\.0, got 'x'"):
        Methods(tmp_path, {"norm": {"power": "x"}}, "config")
    with pytest.raises(UserError, match=r"config: methods: unknown method 'norn' \(did you mean 'norm'\?\)"):
        Methods(tmp_path, {"norn": {}}, "config")


PAIR = 'P = Predictive(version=1, reads="records", sized=False, samples=False, params={params}, bounds={bounds})\n'
PAIR += "def predict(): ...\n"


@pytest.mark.parametrize("value, words", [
    ([0.1], r"must be a list of 2 like \[0\.5, 3\], got \[0\.1\]"),
    ([0.1, 2, 3], "must be a list of 2"),
    (0.1, "must be a list of 2"),
    ([], "must be a list of 2"),
    ([0.1, 2.5], r"\.1: must be int like 3"),
    ([2.0, 2], "must be at most 1"),
    ([0.1, 0], "must be at least 1"),
    ([float("nan"), 2], r"\.0: must be a number"),
])  # fmt: skip
def test_a_tuple_stands_for_a_list_of_its_length(tmp_path, value, words):
    file = tmp_path / "p.py"
    file.write_text(PAIR.format(params={"pair": (0.5, 3)}, bounds={"pair": [(0, 1), (1, None)]}))
    declared = declaration(file, Predictive)
    assert with_overrides(declared, {}, "") == {"pair": (0.5, 3)}
    assert with_overrides(declared, {"pair": [1, 4.0]}, "") == {"pair": (1.0, 4)}
    with pytest.raises(UserError, match=rf"^config: methods\.p\.pair.*{words}"):
        with_overrides(declared, {"pair": value}, "config: methods.p")


def test_bounds_of_each_entry_need_entries(tmp_path):
    file = tmp_path / "p.py"
    for default in ([0.5, 3], (0.5,), 0.5):
        file.write_text(PAIR.format(params={"pair": default}, bounds={"pair": [(0, 1), (1, None)]}))
        with pytest.raises(UserError, match=r"p\.py: Predictive: bounds\.pair: a list of bounds needs a default"):
            declaration(file, Predictive)


def test_an_interval_of_temperatures_holds_1(tmp_path):
    for wrong in ([100.0, 0.01], [2.0, 3.0], [0.01]):
        with pytest.raises(UserError, match=r"methods\.temperature\.bounds"):
            Methods(PACKAGE, {"temperature": {"bounds": wrong}}, "config")


@pytest.mark.parametrize("begins", ["SCORE = plugins.Score(", "SCORE: Score = Score(", "SCORE=Score("])
def test_a_declaration_is_found_however_it_is_spelt(tmp_path, begins):
    for folder in ("adapters", "predictives", "scores"):
        (tmp_path / folder).mkdir()
    (tmp_path / "scores/knn5.py").write_text(GOOD.replace("SCORE = Score(", begins))
    assert Methods(tmp_path, {}, "config").score("knn5").variants == ["a"]
