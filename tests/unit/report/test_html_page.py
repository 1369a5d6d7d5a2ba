"""The page for a browser: its columns read back independently, and nothing in it that a text could become."""

import base64
import json
import re
import shutil
import zlib
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from peftuq import artifacts, files
from peftuq.cells import Cell, first_seeds
from peftuq.evaluation import gather
from peftuq.paths import Paths
from peftuq.report.html import blocks, examples, page
from peftuq.report.run import Run

SETTING = "minilm/snippets2/lora"


class Elements(HTMLParser):
    """Contents of the elements that have an id, and every attribute that could name another place."""

    def __init__(self, text: str):
        super().__init__()
        self.found: dict[str, str] = {}
        self.tags: list[str] = []
        self.links: list[str] = []
        self._id = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self.tags.append(tag)
        self._id = named.get("id") or ""
        self.links += [named[key] or "" for key in ("src", "href", "action", "data") if key in named]

    def handle_data(self, data: str) -> None:
        self.found[self._id] = self.found.get(self._id, "") + data


def read(path: Path) -> tuple[dict[str, Any], str]:
    found = Elements(path.read_text()).found
    return json.loads(found["index"]), found["blocks"]


def inflated(text: str, at: int, length: int) -> bytes:
    return zlib.decompress(base64.b64decode(text[at : at + length]))


def array(text: str, reference: list) -> np.ndarray:
    kind = np.dtype(f"<{reference[2]}")
    planes = np.frombuffer(inflated(text, *reference[:2]), np.uint8).reshape(kind.itemsize, -1)
    return np.frombuffer(planes.T.tobytes(), kind)


def contents(text: str, reference: list) -> Any:
    return json.loads(inflated(text, *reference))


@pytest.fixture(scope="module", autouse=True)
def short() -> Iterator[None]:
    """No plotting library: it takes a second to compress, and nothing here draws."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(page, "_plotting", lambda: "window.Plotly = null;")
        yield


def part_of(fabricated: dict[str, str]) -> Run:
    """The run's cells of one setting and one seed."""
    run = Run.read(**fabricated)
    run.cells = [cell for cell in run.cells if (cell["dataset"], cell["seed"]) == ("snippets2", 0)]
    return run


@pytest.fixture(scope="module")
def written(fabricated: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    page.write(Run.read(**fabricated), str(path))
    return path


# -- blocks -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [12, 16])
def test_rounded_numbers_are_near_and_end_in_zeros(bits: int):
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(size=500) * 10.0 ** rng.integers(-30, 30, size=500), [0, 1, -1]])
    values = values.astype(np.float32)
    kept = blocks.rounded(values, bits)
    assert np.all(np.abs(kept - values) <= np.abs(values) * 2.0 ** -(bits + 1))
    assert not np.any(kept.view(np.uint32) & (2 ** (23 - bits) - 1))
    odd = np.array([np.nan, np.inf, -np.inf, 0.5, 3.4e38], dtype=np.float32)
    np.testing.assert_array_equal(blocks.rounded(odd[:4], bits), odd[:4])


@pytest.mark.parametrize("largest, kind", [(127, "i1"), (128, "i2"), (40_000, "i4")])
def test_integers_take_the_bytes_that_they_need(largest: int, kind: str):
    held, values = blocks.Blocks(), np.array([-1, 0, largest])
    held.add(b"before")
    reference = held.integers(values)
    assert reference[2] == kind
    np.testing.assert_array_equal(array(held.text, reference), values)


def test_of_each_predictive_the_smallest_seed_is_kept():
    cells = [Cell("m", "d", "r", seed, predictive) for seed, predictive in [(2, "point"), (1, "point"), (3, "laplace")]]
    assert [(cell.seed, cell.predictive) for cell in first_seeds(cells)] == [(1, "point"), (3, "laplace")]


# -- the page ---------------------------------------------------------------------------------------------


def test_every_example_of_every_set_is_there(written: Path, fabricated: dict[str, str]):
    index, text = read(written)
    shown = {("/".join(index["settings"][one["setting"]]), one["on"]) for one in index["sets"]}
    cells = files.read_json(fabricated["cells"])["cells"]
    wanted = {
        ("/".join((c["model"], c["dataset"], c["recipe"])), c["dataset"] if part == "test" else part)
        for c in cells
        for part in c["evals"]
    }
    assert shown == wanted and index["every"] == 1
    assert {one["examples"] for one in index["sets"]} == {40}
    for name, dataset in index["texts"].items():
        said = [row for part in dataset["blocks"] for row in contents(text, part)]
        columns = files.read_columns(Paths(fabricated["results"]).data("test", name))
        questions = zip(*(columns.get(key, []) for key in ("context", "question", "options")), strict=True)
        assert said == (columns.get("text") or list(map(list, questions)))


def test_its_columns_are_those_of_the_files(written: Path, fabricated: dict[str, str]):
    index, text = read(written)
    paths, cell = Paths(fabricated["results"]), (*SETTING.split("/"), 0)
    (found,) = (
        one for one in index["sets"] if "/".join(index["settings"][one["setting"]]) == SETTING and one["on"] == "nyt2"
    )
    samples = artifacts.SampleFile(paths.samples(*cell, "temperature"))["nyt2"]
    predictive = found["predictives"]["temperature"]
    np.testing.assert_array_equal(array(text, found["label"]), samples.label)
    np.testing.assert_array_equal(array(text, predictive["answer"]), samples.mean.argmax(axis=1))
    probabilities = array(text, predictive["probabilities"]).reshape(-1, predictive["options"])
    np.testing.assert_allclose(probabilities, samples.mean, rtol=2.0**-13)
    scores = artifacts.read_scores(paths.scores(*cell, "point", "adue")).on("nyt2")
    for variant, values in scores.variants.items():
        np.testing.assert_allclose(array(text, found["scores"][f"point/{variant}"]), values, rtol=2.0**-16)


def test_the_leaderboard_holds_means_over_seeds(written: Path, fabricated: dict[str, str]):
    index, text = read(written)
    board = contents(text, index["board"])
    assert {len(column) for column in board.values()} == {len(board["mean"])}
    table = files.read_columns(fabricated["metrics"])
    wanted: dict[tuple, list[float]] = {}
    for row in zip(*(table[name] for name in gather.COLUMNS), strict=True):
        at = dict(zip(gather.COLUMNS, row, strict=True))
        method = at["predictive"] if at["method"] == "prediction" else f"{at['predictive']}/{at['method']}"
        key = (f"{at['model']}/{at['dataset']}/{at['recipe']}", at["eval"], method, at["metric"])
        if at["value"] is not None and not np.isnan(at["value"]) and at["metric"] in index["metrics"]:
            wanted.setdefault(key, []).append(at["value"])
    keys = zip(board["setting"], board["on"], board["method"], board["metric"], strict=True)
    found = {("/".join(index["settings"][place]), *rest): i for i, (place, *rest) in enumerate(keys)}
    assert found.keys() == wanted.keys()
    for key, values in wanted.items():
        assert board["mean"][found[key]] == pytest.approx(np.mean(values), rel=1e-5)
        assert board["seeds"][found[key]] == len(values)


def test_the_same_results_give_the_same_bytes(fabricated: dict[str, str], tmp_path: Path):
    for name in ("one", "two"):
        page.write(part_of(fabricated), str(tmp_path / name))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_nothing_of_it_lies_elsewhere_and_no_text_is_markup(written: Path):
    text = written.read_text()
    found = Elements(text)
    assert found.links == ["data:,", "#main"]
    assert "@import" not in found.found[""] and "url(" not in text.split("</style>")[0]
    assert found.tags.count("script") == 3 and "b" not in found.tags
    assert "onclick=x" not in text
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]+)"', text)
    assert policy.startswith("default-src 'none'; script-src 'sha256-") and "unsafe-eval" not in policy


def test_titles_that_hold_markup_end_no_element(fabricated: dict[str, str], tmp_path: Path):
    run = part_of(fabricated)
    run.models["minilm"]["title"] = hostile = "</script><script>$title & \u2028<!--"
    page.write(run, str(tmp_path / "report.html"))
    assert Elements((tmp_path / "report.html").read_text()).tags.count("script") == 3
    assert read(tmp_path / "report.html")[0]["models"]["minilm"] == hostile


def test_examples_are_thinned_where_they_are_too_many(fabricated: dict[str, str], tmp_path: Path, monkeypatch):
    monkeypatch.setattr(examples, "LARGEST", 15)
    page.write(part_of(fabricated), str(tmp_path / "report.html"))
    index, text = read(tmp_path / "report.html")
    assert index["every"] == 3 and {one["examples"] for one in index["sets"]} == {14}
    said = contents(text, index["texts"]["nyt2"]["blocks"][0])
    assert [one.split(":")[0] for one in said[:3]] == ["Example 0", "Example 3", "Example 6"]


def test_what_is_missing_is_left_out(fabricated: dict[str, str], tmp_path: Path):
    bare = tmp_path / "results"
    shutil.copytree(Path(fabricated["results"]) / "data", bare / "data")
    for kind in ("records", "samples", "scores"):
        shutil.copytree(Path(fabricated["results"]) / kind / SETTING, bare / kind / SETTING)
    (bare / "data/nyt2/test.parquet").unlink()
    (bare / "scores" / SETTING / "seed0/point/adue.parquet").unlink()
    run = part_of(fabricated)
    run.paths = Paths(str(bare))
    page.write(run, str(tmp_path / "one.html"))
    (first, second), _ = (found := read(tmp_path / "one.html"))[0]["sets"], found[1]
    assert (first["on"], second["on"]) == ("snippets2", "tweets2")
    assert "point/md" in first["scores"] and "point/adue" not in first["scores"]
    shutil.rmtree(bare / "records")
    page.write(run, str(tmp_path / "two.html"))
    assert [list(one["predictives"]) for one in read(tmp_path / "two.html")[0]["sets"]] == [["temperature"]] * 2
