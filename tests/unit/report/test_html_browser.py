"""The page in a real browser: it re-ranks, filters, sorts, draws and leads to what an address names."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import rankdata

from peftuq import artifacts, files
from peftuq.evaluation import gather
from peftuq.metrics import calibration, selective
from peftuq.paths import Paths
from peftuq.report.html import page as html
from peftuq.report.run import Run

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="needs a Chromium on the path")]

HERE = "setting=minilm/snippets2/lora&on=snippets2"
CELL = ("minilm", "snippets2", "lora", 0)
HOSTILE = "Example 7: </script><b onclick=x>a &amp; b"


@pytest.fixture(scope="module")
def address(fabricated: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("browser") / "report.html"
    html.write(Run.read(**fabricated), str(path))
    return path.as_uri()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


class View:
    """A page that is open at a part of its address; what its console says, and what it asks for."""

    def __init__(self, browser: Any, address: str):
        self.page = browser.new_page(viewport={"width": 1300, "height": 900})
        self.address, self.said, self.asked = address, [], []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url.partition("#")[0]))

    def open(self, part: str) -> Any:
        self.page.goto("about:blank")
        self.page.goto(f"{self.address}#{part}")
        self.page.wait_for_selector("html[data-shown]")
        return self.page

    def act(self, action: Any) -> None:
        """Do something and wait until the page has shown its result."""
        before = self.page.locator("html").get_attribute("data-shown")
        action()
        self.page.wait_for_function("before => document.documentElement.dataset.shown !== before", arg=before)

    def column(self, place: int, table: str = "#output table") -> list[str]:
        cells = self.page.locator(f"{table} >> nth=0").locator(f"tbody tr > :nth-child({place})")
        return cells.all_inner_texts()


@pytest.fixture
def view(browser, address) -> Iterator[View]:
    """Fails where the console said anything, or another file was asked for."""
    opened = View(browser, address)
    yield opened
    opened.page.close()
    assert opened.said == []
    assert {url for url in opened.asked if not url.startswith(("data:", "about:"))} <= {address}


def scores(fabricated: dict[str, str], score: str, variant: str, predictive: str = "point") -> tuple[np.ndarray, ...]:
    found = artifacts.read_scores(Paths(fabricated["results"]).scores(*CELL, predictive, score)).on("test")
    return found.variants[variant], found.error


# -- the leaderboard ----------------------------------------------------------------------------------------


def mean_ranks(fabricated: dict[str, str], model: str, metrics: dict[str, int]) -> dict[str, float]:
    """Mean rank of each method of a model, over settings and metrics; `metrics`: the sign of better."""
    table = files.read_columns(fabricated["metrics"])
    values: dict[tuple, dict[str, list[float]]] = {}
    for row in zip(*(table[name] for name in gather.COLUMNS), strict=True):
        at = dict(zip(gather.COLUMNS, row, strict=True))
        if at["model"] == model and at["eval"] == at["dataset"] and at["metric"] in metrics:
            of = values.setdefault((at["dataset"], at["metric"]), {})
            of.setdefault(f"{at['predictive']}/{at['method']}", []).append(at["value"])
    found: dict[str, list[float]] = {}
    for (_, metric), of in values.items():
        means = [float(f"{np.mean(measured):.6g}") for measured in of.values()]
        for name, rank in zip(of, rankdata(np.multiply(-metrics[metric], means)), strict=True):
            found.setdefault(name, []).append(rank)
    return {name: float(np.mean(places)) for name, places in found.items()}


def test_the_leaderboard_ranks_what_is_chosen(view: View, fabricated: dict[str, str]):
    for model in ("minilm", "roberta"):
        view.open(f"models={model}&metrics=auroc,aurc")
        found = dict(zip(view.column(1), map(float, view.column(2)), strict=True))
        wanted = mean_ranks(fabricated, model, {"auroc": 1, "aurc": -1})
        assert list(found.values()) == sorted(found.values()) and len(found) == len(wanted)
        for name, title in (("point/sr", "SR"), ("point/md_l2", "MD (L2)"), ("temperature/sr", "SR (temperature)")):
            assert found[title] == pytest.approx(wanted[name], abs=0.005)
        assert sorted(found.values()) == pytest.approx(sorted(wanted.values()), abs=0.005)


def test_ticking_a_box_ranks_anew_and_stands_in_the_address(view: View):
    page = view.open("")
    before = view.page.inner_text("#status")
    page.locator("summary", has_text="Models").click()
    view.act(lambda: page.get_by_label("LLaMA-2-7B").uncheck())
    assert "models=" in page.url and "llama2_7b" not in page.url
    assert page.inner_text("#status") != before
    assert page.get_by_label("RoBERTa-base").is_visible()  # the group stays open
    view.act(page.go_back)
    assert page.inner_text("#status") == before


def test_a_head_sorts_and_says_so(view: View):
    page = view.open("models=minilm")
    view.act(lambda: page.locator("#sort-auroc").click())
    values = list(map(float, view.column(3)))
    assert values == sorted(values, reverse=True)
    assert page.locator("th", has=page.locator("#sort-auroc")).get_attribute("aria-sort") == "descending"
    assert page.evaluate("document.activeElement.id") == "sort-auroc"
    view.act(lambda: page.keyboard.press("Enter"))
    assert list(map(float, view.column(3))) == sorted(values)


def test_metrics_of_predictions_rank_the_predictives(view: View):
    view.open("models=minilm&metrics=ece_15")
    assert sorted(view.column(1)) == ["point", "temperature"]


def test_a_limit_of_cost_leaves_methods_out(browser, fabricated: dict[str, str], tmp_path: Path):
    shutil.copytree(fabricated["results"], tmp_path / "results")
    paths = Paths(str(tmp_path / "results"))
    cells = files.read_json(paths.cells)
    cells["cells"] = [cell for cell in cells["cells"] if cell["dataset"] == "snippets2"]
    cells["methods"]["temperature"]["reads"] = "adapter"  # made by a model of its own
    files.write_json(paths.cells, cells)
    for cell in cells["cells"]:
        key = tuple(cell[name] for name in ("model", "dataset", "recipe", "seed", "predictive"))
        seconds = {"point": 1.0, "temperature": 3.0}[cell["predictive"]]
        files.write_json(paths.facts(paths.samples(*key)), {"seconds": seconds, "examples": 100})
    html.write(Run.read(paths.cells, paths.metrics_table, paths.results), str(tmp_path / "report.html"))
    view = View(browser, (tmp_path / "report.html").as_uri())
    view.open("cost=3&models=minilm&sort=time")
    assert set(view.column(4)) == {"1.00", "3.00"}
    view.open("cost=2.9&models=minilm")
    assert set(view.column(4)) == {"1.00"} and not any("temperature" in name for name in view.column(1))
    view.page.locator(".plot").scroll_into_view_if_needed()
    view.page.wait_for_selector(".plot[data-drawn] svg")
    assert view.said == []


# -- figures ------------------------------------------------------------------------------------------------


def test_figures_are_drawn_from_the_examples(view: View, fabricated: dict[str, str]):
    page = view.open(f"view=figures&{HERE}&methods=point/sr,point/md&predictives=point,temperature")
    for place in range(3):
        page.locator(".plot").nth(place).scroll_into_view_if_needed()
        page.locator(".plot").nth(place).locator("svg.main-svg").first.wait_for()
    page.wait_for_function("() => document.querySelectorAll('.plot[data-drawn]').length === 3")
    page.evaluate("document.querySelectorAll('figure details').forEach(one => { one.open = true; })")
    _, risk, _ = page.locator("figure table").all()
    found = {
        row.locator("th").inner_text(): row.locator("td").all_inner_texts() for row in risk.locator("tbody tr").all()
    }
    for title, named in (("SR", ("softmax", "sr")), ("MD", ("mahalanobis", "md"))):
        score, error = scores(fabricated, *named)
        wanted = [selective.risk_at_coverage(score, error, coverage) for coverage in (0.5, 0.8, 0.9, 1)]
        assert list(map(float, found[title])) == pytest.approx([*wanted, selective.aurc(score, error)], abs=6e-5)
    legend = " ".join(page.locator(".plot").first.locator(".legendtext").all_text_contents())
    for predictive in ("point", "temperature"):
        samples = artifacts.SampleFile(Paths(fabricated["results"]).samples(*CELL, predictive))["test"]
        ece = calibration.ece(samples.mean.max(axis=1), samples.mean.argmax(axis=1) == samples.label)
        assert float(re.search(rf"{predictive}, ECE ([\d.]+) %", legend)[1]) == pytest.approx(100 * ece, abs=0.06)


def test_a_point_leads_to_its_example(view: View):
    page = view.open(f"view=figures&{HERE}")
    page.locator(".plot").nth(2).scroll_into_view_if_needed()
    page.wait_for_function("() => document.querySelectorAll('.plot')[2].dataset.drawn")
    box = page.locator(".plot").nth(2).locator(".scatterlayer .point").first.bounding_box()
    view.act(lambda: page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2))
    assert page.locator("dialog[open]").inner_text().startswith("Example ")
    assert "example=" in page.url


# -- examples -----------------------------------------------------------------------------------------------


def test_examples_are_filtered_and_sorted(view: View, fabricated: dict[str, str]):
    score, error = scores(fabricated, "mahalanobis", "md")
    page = view.open(f"view=examples&{HERE}&a=point/md&show=wrong&order=score_a&falling=1")
    assert page.inner_text("#status").startswith(f"{error.sum()} of 40 examples")
    wanted = [row for row in np.argsort(-score, kind="stable") if error[row]]
    assert list(map(int, view.column(1))) == wanted[:25]
    assert all("wrong" in text for text in view.column(4))
    view.act(lambda: page.get_by_label("Show").select_option("right"))
    assert page.inner_text("#status").startswith(f"{(~error).sum()} of 40 examples")
    view.act(lambda: page.get_by_label("Find in texts").fill("EXAMPLE 7:"))
    assert page.inner_text("#status").startswith(f"{int(not error[7])} of 40 examples")


def test_pages_follow_each_other(view: View):
    page = view.open(f"view=examples&{HERE}")
    assert view.column(1) == list(map(str, range(25)))
    view.act(lambda: page.get_by_role("button", name="Next").click())
    assert view.column(1) == list(map(str, range(25, 40)))
    assert page.get_by_role("button", name="Next").is_disabled()
    view.act(lambda: page.get_by_label("Rows a page").select_option("50"))
    assert len(view.column(1)) == 40


def test_an_address_opens_an_example_whose_text_stays_text(view: View, fabricated: dict[str, str]):
    page = view.open(f"view=examples&{HERE}&example=7")
    dialog = page.get_by_role("dialog", name="Example 7 of snippets2")
    assert dialog.locator(".said").first.inner_text() == HOSTILE
    assert page.locator("b").count() == 0
    samples = artifacts.SampleFile(Paths(fabricated["results"]).samples(*CELL, "temperature"))["test"]
    row = dialog.locator("table").nth(1).locator("tbody tr").first.locator("td").all_inner_texts()
    assert float(row[1].split()[0]) == pytest.approx(samples.mean[7, 0], abs=2e-4)
    view.act(lambda: page.keyboard.press("Escape"))
    assert "example=" not in page.url
    assert page.evaluate("document.activeElement.id") == "example-7"


def test_options_of_a_question_are_its_own(view: View):
    page = view.open("view=examples&setting=smollm2/snippets2_choice/lora&on=tweets2_choice&example=3")
    options = page.locator("dialog table").nth(1).locator("tbody th").all_inner_texts()
    assert [option.replace(" (label)", "") for option in options] == ["A. option 3", "B. <i>other</i> 3"]


def test_two_methods_stand_side_by_side(view: View, fabricated: dict[str, str]):
    page = view.open(f"view=comparison&{HERE}&a=point/sr&b=point/md&most=5")
    for side, named in enumerate((("softmax", "sr"), ("mahalanobis", "md"))):
        score, error = scores(fabricated, *named)
        order = np.argsort(score, kind="stable")
        tables = page.locator(".sides > section").nth(side).locator("table")
        for place, wanted in enumerate(([r for r in order if error[r]], [r for r in order[::-1] if not error[r]])):
            found = tables.nth(place).locator("tbody th").all_inner_texts()
            assert list(map(int, found)) == wanted[:5]


# -- for everybody --------------------------------------------------------------------------------------------


def test_the_keyboard_reaches_every_view(view: View):
    page = view.open("")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    for name in ("Leaderboard", "Figures", "Examples"):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == name
    view.act(lambda: page.keyboard.press("Enter"))
    assert page.inner_text("#heading") == "Examples"
    assert page.locator("[aria-current=page]").inner_text() == "Examples"


@pytest.mark.parametrize("part", ["", f"view=figures&{HERE}", f"view=examples&{HERE}", f"view=comparison&{HERE}"])
def test_every_control_has_a_name_and_every_text_a_contrast(view: View, part: str):
    page = view.open(part)
    nameless = """() => [...document.querySelectorAll("input, select, button, a, [role=region]")].filter(one =>
        ![one.getAttribute("aria-label"), one.textContent, ...[...(one.labels ?? [])].map(l => l.textContent)]
            .some(text => text?.trim())).map(one => one.outerHTML)"""
    assert page.evaluate(nameless) == []
    faint = """() => {
        const light = (colour) => colour.match(/[\\d.]+/g).slice(0, 3).map(Number).map(v => v / 255)
            .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
            .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
        const behind = (one) => { const own = getComputedStyle(one).backgroundColor;
            if (own !== "rgba(0, 0, 0, 0)") return own;
            return one.parentElement ? behind(one.parentElement) : "rgb(255, 255, 255)"; };
        return [...document.querySelectorAll("body *")].filter(one => !one.closest("script, .plot, :disabled") &&
            [...one.childNodes].some(child => child.nodeType === 3 && child.data.trim())).filter(one => {
                const pair = [light(getComputedStyle(one).color), light(behind(one))].sort((a, b) => b - a);
                return (pair[0] + 0.05) / (pair[1] + 0.05) < 4.5; }).map(one => one.outerHTML); }"""
    assert page.evaluate(faint) == []


def test_a_set_without_labels_is_shown_without_verdicts(browser, fabricated: dict[str, str], tmp_path: Path):
    shutil.copytree(fabricated["results"], tmp_path / "results")
    paths = Paths(str(tmp_path / "results"))
    for predictive in ("point", "temperature"):
        path = paths.samples(*CELL, predictive)
        found = artifacts.SampleFile(path)
        parts = {part: found[part] for part in found.parts}
        parts["nyt2"] = artifacts.Samples(parts["nyt2"].id, np.full(40, -1), parts["nyt2"].probs)
        artifacts.write_samples(path, parts)
    run = Run.read(paths.cells, paths.metrics_table, paths.results)
    run.cells = [cell for cell in run.cells if cell["dataset"] == "snippets2"]
    html.write(run, str(tmp_path / "report.html"))
    view = View(browser, (tmp_path / "report.html").as_uri())
    page = view.open("view=examples&setting=minilm/snippets2/lora&on=nyt2")
    assert page.locator(".wrong, .right").count() == 0 and set(view.column(3)) == {"–"}
    page = view.open("view=comparison&setting=minilm/snippets2/lora&on=nyt2")
    assert "no labels" in page.inner_text("#status")
    page = view.open("view=figures&setting=minilm/snippets2/lora&on=nyt2")
    assert page.locator("figure").count() == 1
    assert view.said == []
