"""A plug-in's names, and those of metrics, stand for one thing each."""

import json

import pytest

from peftuq.config.methods import Methods
from peftuq.config.study import PACKAGE
from peftuq.errors import UserError
from peftuq.evaluation import gather
from peftuq.paths import Paths

SCORE = "from peftuq.plugins import Score\nSCORE = Score(version=1, reads='samples', variants={variants})\n"
SCORE += "def score(): ...\n"
KIND = "KIND = AdapterKind(section=None)\nfrom x import attach, extra_loss, load, read_out\n"
PREDICTIVE = "P = Predictive(version=1, reads='records', sized=False, samples=False)\ndef predict(): ...\n"
COLLIDING = {
    "two scores with one variant": {
        "scores/a.py": SCORE.format(variants=["x"]),
        "scores/b.py": SCORE.format(variants=["x"]),
    },
    "a variant twice": {"scores/a.py": SCORE.format(variants=["x", "x"])},
    "a reserved variant": {"scores/a.py": SCORE.format(variants=["prediction"])},
    "a reserved score": {"scores/prediction.py": SCORE.format(variants=["x"])},
    "a reserved predictive": {"predictives/point.py": PREDICTIVE},
    "one file name in two folders": {
        "scores/a.py": SCORE.format(variants=["x"]),
        "scores/c/a.py": SCORE.format(variants=["y"]),
    },
    "a score called as a predictive": {"scores/a.py": SCORE.format(variants=["x"]), "predictives/a.py": PREDICTIVE},
    "two kinds with one section": {"adapters/a.py": KIND, "adapters/b.py": KIND},
    "a name with a hyphen": {"scores/knn-5.py": SCORE.format(variants=["x"])},
    "a name with capitals": {"predictives/Knn.py": PREDICTIVE},
    "a name that begins with a digit": {"adapters/5knn.py": KIND},
    "no function": {"scores/a.py": SCORE.format(variants=["x"]).replace("def score", "def scores")},
    "no function of four": {"adapters/a.py": KIND.replace("load, ", "")},
    "values without names": {"scores/a.py": "SCORE = Score(1)\n"},
    "values from elsewhere": {"scores/a.py": "SCORE = Score(**common)\n"},
    "a file that is no Python": {"scores/a.py": SCORE.format(variants=["x"]) + "def ("},
}


@pytest.mark.parametrize("name", COLLIDING)
def test_plugins_that_collide(tmp_path, count, name):
    for folder in ("scores", "predictives", "adapters"):
        (tmp_path / folder).mkdir()
    for file, text in COLLIDING[name].items():
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text(text)
    with pytest.raises(UserError, match=r"\.py") as raised:
        Methods(tmp_path, {}, "config")
    assert "\n" not in str(raised.value)
    count("names that collide")


def test_the_package_has_no_collision():
    Methods(PACKAGE, {}, "config")


def test_two_values_of_one_metric_are_refused(tmp_path):
    cell = {
        "model": "m",
        "dataset": "d",
        "recipe": "r",
        "seed": 0,
        "predictive": "point",
        "scores": ["s"],
        "suites": ["x"],
    }
    row = {"eval": "test", "method": "sr", "metric": "auroc", "value": 0.5}
    paths = Paths(str(tmp_path))
    for score, rows in {"prediction": [], "s": [row]}.items():
        file = tmp_path / paths.metrics("m", "d", "r", 0, "point", score)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({"rows": rows}))
    assert gather.long_table([cell], str(tmp_path))["value"] == [0.5]
    file.write_text(json.dumps({"rows": [row, {**row, "value": 0.6}]}))
    with pytest.raises(UserError, match=r"two values of one metric.*method sr"):
        gather.long_table([cell], str(tmp_path))
