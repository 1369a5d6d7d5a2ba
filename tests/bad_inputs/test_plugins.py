"""An error inside a plug-in names it and its line; what it returns is checked before it is written."""

import importlib
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

sys.path += [str(Path(__file__).parents[1] / "unit" / folder) for folder in ("models", "training")]
from tiny import ENCODERS, ROLES, build

from peftuq.adapters import lora
from peftuq.artifacts import Samples
from peftuq.config.recipe import Recipe
from peftuq.errors import UserError
from peftuq.jobs import failure, program
from peftuq.plugins import Predictive, Score
from peftuq.predictives import returned as returned_samples
from peftuq.scores import returned as returned_scores
from peftuq.training.assemble import assemble
from peftuq.training.step import Step

N = 4
X, NAN = np.arange(N) / N, np.where(np.arange(N) == 2, np.nan, 0.5)
SCORE = Score(version=1, reads="records", variants=["a", "b"], probabilities=["b"])
EVALS = {"test": N, "shift": N}


def scores(a=X, b=X, drop="", **more):
    found = {name: {part: values for part in EVALS if part != drop} for name, values in {"a": a, "b": b}.items()}
    return {**found, **more}


SCORES = {
    "nothing": (None, "must return two mappings"),
    "scores alone": (scores(), "must return two mappings"),
    "three": ((scores(), {}, {}), "a tuple of 3"),
    "lists": (([1], []), "must return two mappings"),
    "a variant less": (({"a": scores()["a"]}, {}), "variants a, and SCORE declares a, b"),
    "a variant more": ((scores(c=scores()["a"]), {}), "variants a, b, c"),
    "a misspelt variant": (({"a": {}, "B": {}}, {}), "variants B, a"),
    "an evaluation set less": ((scores(drop="shift"), {}), "no scores of the evaluation set 'shift'"),
    "an array for all": ((scores(b=X) | {"a": X}, {}), "no scores of the evaluation set 'test'"),
    "an example less": ((scores(a=X[1:]), {}), r"\['a'\]\['test'\]: must be 4 numbers.*shape \(3,\)"),
    "a column": ((scores(a=X[:, None]), {}), r"shape \(4, 1\)"),
    "a number": ((scores(a=1.0), {}), r"shape \(\)"),
    "texts": ((scores(a=["x"] * N), {}), "must be 4 numbers"),
    "complex numbers": ((scores(a=X * 1j), {}), "complex128"),
    "objects": ((scores(a=np.array([None] * N)), {}), "object"),
    "truths": ((scores(a=X > 0), {}), "bool"),
    "NaN": ((scores(a=NAN), {}), "1 of 4 are NaN, the first at 2"),
    "a probability above 1": ((scores(b=X + 1), {}), "from 1 to 1.75, and SCORE lists it under probabilities"),
    "a probability below 0": ((scores(b=-X), {}), "from -0.75 to"),
    "diagnostics of arrays": ((scores(), {"fit": X}), "diagnostics must be JSON"),
}


@pytest.mark.parametrize("kind", SCORES)
def test_what_a_score_returns(count, kind):
    content, words = SCORES[kind]
    returned_scores.check(SCORE, "scores/x.py", (scores(a=np.array([1, -np.inf, np.inf, 0])), {"k": 1}), EVALS)
    with pytest.raises(UserError, match=rf"^scores/x\.py: .*{words}") as raised:
        returned_scores.check(SCORE, "scores/x.py", content, EVALS)
    assert "\n" not in str(raised.value)
    count("plug-in: what it returns")


PREDICTIVE = Predictive(version=1, reads="records", sized=True, samples=True)
ID, LABEL, PROBS = np.arange(N) + 10, np.zeros(N, dtype=np.int64), np.full((3, N, 2), 0.5)


def samples(drop="", **changes):
    one = Samples(**{"id": ID, "label": LABEL, "probs": PROBS, **changes})
    return {part: one for part in EVALS if part != drop}, {}


PREDICTIVES = {
    "nothing": (None, "must return two mappings"),
    "samples alone": (samples()[0], "must return two mappings"),
    "an evaluation set less": (samples(drop="shift"), r"\['shift'\]: is no artifacts\.Samples"),
    "arrays": ((dict.fromkeys(EVALS, PROBS), {}), "is no artifacts"),
    "other examples": (samples(id=ID + 1), "other examples"),
    "another order": (samples(id=ID[::-1]), "other examples"),
    "an example less": (samples(id=ID[1:]), "other examples"),
    "a label less": (samples(label=LABEL[1:]), "other examples"),
    "no axis of samples": (samples(probs=PROBS[0]), r"shape \(4, 2\)"),
    "rows of fewer examples": (samples(probs=PROBS[:, 1:]), r"shape \(3, 3, 2\)"),
    "whole numbers": (samples(probs=np.ones((3, N, 2), dtype=int)), "int64"),
    "NaN": (samples(probs=PROBS * NAN[:, None]), r"probs\[0, 0\] is no distribution"),
    "logits": (samples(probs=PROBS * 4 - 3), r"is no distribution \(\[-1.0, -1.0\]\), one of 12"),
    "unnormalised": (samples(probs=PROBS * 1.1), "each must be ≥ 0 and sum to 1"),
    "a sample less": (samples(probs=PROBS[:2]), "has 2 samples, and was to have 3"),
    "no sample": (samples(probs=PROBS[:0]), "has 0 samples"),
}


@pytest.mark.parametrize("kind", PREDICTIVES)
def test_what_a_predictive_returns(count, kind):
    content, words = PREDICTIVES[kind]
    ids = dict.fromkeys(EVALS, ID)
    returned_samples.check(PREDICTIVE, "predictives/x.py", samples(), 3, ids)
    with pytest.raises(UserError, match=rf"^predictives/x\.py: .*{words}") as raised:
        returned_samples.check(PREDICTIVE, "predictives/x.py", content, 3, ids)
    assert "\n" not in str(raised.value)
    count("plug-in: what it returns")


def test_a_predictive_of_one_sample_returns_one():
    declared = Predictive(version=1, reads="records", sized=False, samples=False)
    with pytest.raises(UserError, match="has 3 samples, and was to have 1"):
        returned_samples.check(declared, "predictives/x.py", samples(), None, dict.fromkeys(EVALS, ID))


# -- kinds of adapter ---------------------------------------------------------------------------------------

RECIPE = Recipe.model_validate({
    "version": 1,
    "adapter": {"targets": ["q"], "rank": 2, "alpha": 2.0, "dropout": 0.0},
    "optimiser": {"lr": 0.1, "batch_size": 2, "epochs": 1},
})  # fmt: skip


def frozen(*arguments):
    model = lora.attach(*arguments)
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            parameter.requires_grad_(False)
    return model


@pytest.mark.parametrize("attach", [frozen, lambda model, *rest: model.requires_grad_(False), lambda *rest: None])
def test_a_kind_that_trains_nothing(count, attach):
    kind = SimpleNamespace(__name__="peftuq.adapters.x", attach=attach, read_out=lora.read_out)
    model = build(ENCODERS["bert"], "classification")
    with pytest.raises(UserError, match=r"^peftuq\.adapters\.x: attach\(…\) must return the model with an adapter"):
        assemble(model, kind, RECIPE, ROLES["bert"], "classification", None)
    count("plug-in: what it returns")


@pytest.mark.parametrize("shape", [(1,), (2,), (2, 2)])
def test_a_loss_of_another_shape(count, shape):
    def extra_loss(*arguments):
        return torch.zeros(shape)

    model = torch.nn.Linear(1, 1)
    step = Step(model, RECIPE, extra_loss, None, torch.float32)
    output = SimpleNamespace(logits=torch.zeros(2, 2), logsumexp=None)
    with pytest.raises(UserError, match=r"extra_loss\(…\) must return a scalar or None, not a tensor of shape"):
        step._loss(output, torch.zeros(2, dtype=torch.long), 0)
    count("plug-in: what it returns")


# -- errors inside ------------------------------------------------------------------------------------------

BROKEN = {
    "raises": ("def score():\n    x = {}\n    return x['a']\n", "line 3, in score: KeyError: 'a'"),
    "imports nothing": ("import nothing_of_that_name\n", "line 1, in <module>: ModuleNotFoundError: No module named"),
    "misspells": ("x = 1\ny = z\n", "line 2, in <module>: NameError"),
    "ends": ("def score():\n    raise ValueError('a\\nb')\n", "line 2, in score: ValueError: a b"),
    "calls a library": ("import json\n\n\ndef score():\n    json.loads('{')\n", "line 5, in score: JSONDecodeError"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_an_error_inside_a_plug_in_names_file_and_line(tmp_path, monkeypatch, capsys, count, kind):
    text, words = BROKEN[kind]
    name = f"broken_plugin_{list(BROKEN).index(kind)}"
    (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)

    def main(arguments, log):
        importlib.import_module(name).score()

    log = program.Log(None, "fit_scores results/scores/m/d/r/seed0/point/x.parquet")
    with pytest.raises(SystemExit) as ended:
        program._execute(main, SimpleNamespace(spec=SimpleNamespace(module=name)), log)
    last = capsys.readouterr().err.splitlines()[-1]
    assert ended.value.code == 1
    assert last.startswith("fit_scores results/scores/m/d/r/seed0/point/x.parquet: error: the plug-in ")
    assert f"{name}.py, {words}" in last
    count("plug-in: an error inside")


def test_an_error_below_a_plug_in_of_the_library_names_it(count):
    with pytest.raises(AttributeError) as raised:
        lora.attach(None, {}, RECIPE.adapter, "classification")
    assert "adapters/peft_lora.py, line " in failure.line(raised.value)
    assert failure.line(ValueError("x")) == "ValueError: x"
    count("plug-in: an error inside")
