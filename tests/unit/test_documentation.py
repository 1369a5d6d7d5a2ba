"""Whatever the documentation, the comments and the messages name exists: parameters of methods, pages, files."""

import argparse
import itertools
import json
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from peftuq import cli
from peftuq.artifacts import Head, Record
from peftuq.config import load, strict_yaml
from peftuq.config.methods import Methods, _files, declaration
from peftuq.config.recipe import Adapter, Loss, Optimiser, Prior, Recipe, Sweep
from peftuq.config.schema import Config, Grid, Limit, Suite, Trim
from peftuq.plugins import AdapterKind, Predictive, Score
from peftuq.scores.returned import check

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "peftuq"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FOLDERS = ("src", "workflow", "config", "docs", "envs", "tests", "benchmarks", "profiles", "slurm", "local")
ENDINGS = {".md", ".py", ".smk", ".yaml"}
METHODS = Methods(PACKAGE, {}, "config")
PARAMETERS = {name: METHODS[name].params for name in METHODS.files}


def texts() -> Iterator[tuple[Path, str]]:
    """Every file that may name a page or a parameter: those at the top, and all below the folders."""
    files = [file for file in ROOT.iterdir() if file.suffix in ENDINGS or file.name in ("Makefile", "Snakefile")]
    files += [file for folder in FOLDERS for file in (ROOT / folder).rglob("*") if file.suffix in ENDINGS]
    return ((file, file.read_text()) for file in files if file != Path(__file__))


def named_parameters(text: str) -> set[tuple[str, str]]:
    """The (method, parameter) of each `methods.<method>.<parameter>`, and of the `.<parameter>`s that follow it.

    And of each `<method>: {<parameter>: …}` between backquotes.
    """
    found = set()
    for match in re.finditer(r"\bmethods\.(\w+)\.(\w+)((?:`, `\.\w+)*)", text):
        method, first, more = match.groups()
        found |= {(method, key) for key in (first, *re.findall(r"\.(\w+)", more))}
    for method, content in re.findall(r"`(?:methods: )?(\w+): \{([^`]*)\}`", text):
        if method in PARAMETERS:
            found |= {(method, key) for key in re.findall(r"(\w+):", content)}
    return found


def unknown(text: str) -> set[str]:
    return {f"{method}.{key}" for method, key in named_parameters(text) if key not in PARAMETERS.get(method, {})}


@pytest.mark.parametrize("model", [Config, Suite, Grid, Limit, Trim, Recipe, Adapter, Optimiser, Loss, Prior, Sweep])
def test_every_key_is_documented(model):
    (page,) = (page.read_text() for page in PAGES if page.name == "configuration.md")
    named = re.findall(r"[a-z_]+", " ".join(re.findall(r"`[^`]+`|```.*?```", page, re.DOTALL)))
    assert not set(model.model_fields) - set(named)


def test_parameters_that_are_named_exist():
    wrong = {str(file.relative_to(ROOT)): unknown(text) for file, text in texts() if unknown(text)}
    assert not wrong
    (configuration,) = (page for page in PAGES if page.name == "configuration.md")
    assert len(named_parameters(configuration.read_text())) > 10


def test_a_parameter_that_does_not_exist_is_noticed():
    assert unknown("`methods.rde.components`, `.method`, `.kpca_rows`") == {"rde.method"}
    assert unknown("`methods.rdf.components`") == {"rdf.components"}
    assert unknown("`methods: mahalanobis: {spectral: posthoc}`") == {"mahalanobis.spectral"}


def test_pages_that_are_named_exist():
    named = {page for _, text in texts() for page in re.findall(r"\bdocs/[\w-]+\.md\b", text)}
    assert "docs/adding.md" in named
    assert not {page for page in named if not (ROOT / page).is_file()}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page):
    links = re.findall(r"\]\((?!https?://)([^)#]+)", page.read_text())
    assert not [link for link in links if not (page.parent / link).is_file()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_of_the_repository_that_a_page_names_exist(page):
    """Files below the folders, from the top or, for modules, from the package (`scores/adue.py`)."""
    named = re.findall(r"`((?:[\w-]+/)+[\w-]+\.(?:py|yaml|smk))`", page.read_text())
    assert not [file for file in named if not any((folder / file).is_file() for folder in (ROOT, PACKAGE))]


# -- examples -------------------------------------------------------------------------------------------


def blocks(language: str) -> list:
    """The code blocks of a language, with their page."""
    return [
        pytest.param(text, id=f"{page.name}-{place}")
        for page in PAGES
        for place, text in enumerate(re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.M | re.S))
    ]


PLUGINS = {"SCORE": ("scores", Score), "PREDICTIVE": ("predictives", Predictive), "KIND": ("adapters", AdapterKind)}


@pytest.mark.parametrize("text", blocks("python"))
def test_python_that_is_shown_runs_and_is_what_it_says(text, tmp_path):
    found = {"__name__": "example"}
    exec(compile(text, "example", "exec"), found)
    for name, (folder, kind) in PLUGINS.items():
        if name in found:
            shutil.copytree(PACKAGE / folder, tmp_path / folder)
            (tmp_path / folder / "example.py").write_text(text)
            assert declaration(tmp_path / folder / "example.py", kind) == found[name]
            assert "example" in {**_files(tmp_path / folder, kind)}


def test_the_score_that_is_shown_scores():
    (text,) = (block.values[0] for block in blocks("python") if "SCORE =" in block.values[0])
    found: dict = {}
    exec(text, found)
    h = np.array([[3.0, 4.0], [0.0, 1.0]])
    inputs = type("Inputs", (dict,), {"head": Head(np.eye(2))})(test=Record(np.arange(2), np.zeros(2), h, h))
    scores = found["score"](inputs, ["test"], found["SCORE"].params, 0)
    check(found["SCORE"], "example", scores, {"test": 2})
    np.testing.assert_allclose(scores[0]["norm"]["test"], [-5, -1])


@pytest.mark.parametrize("text", blocks("yaml"))
def test_yaml_that_is_shown_is_read_as_configuration(text, tmp_path):
    (tmp_path / "shown.yaml").write_text(text)
    content = strict_yaml.read(tmp_path / "shown.yaml")
    if "grids" in content:
        load.validate(Suite, content, "shown")
    elif content.keys() & Config.model_fields.keys():
        load.validate(Config, {"suites": ["x"], "sources": ["registry"], **content}, "shown")


@pytest.mark.parametrize("text", blocks("(?:sh|shell|bash|console)"))
def test_commands_that_are_shown_name_what_there_is(text):
    for line in text.splitlines():
        words = shlex.split(line, comments=True)
        commands = [word.rpartition("/")[2] for word in words]
        if "peftuq" in commands:
            rest = words[commands.index("peftuq") + 1 :]
            ends = (n for n, word in enumerate(rest) if word in (">", "|", "&&"))
            cli.parser().parse_args(rest[: next(ends, None)])  # exits for what is no command, or no option of it
        for option, word in itertools.pairwise(words):
            if option == "--configfile" and word.startswith("config/"):
                assert (ROOT / word).is_file(), line
            if option == "--profile" and "<" not in word and "snakemake" in commands:
                assert (ROOT / word).is_dir(), line


def test_every_command_has_its_place_among_the_commands():
    (actions,) = (action for action in cli.parser()._actions if isinstance(action, argparse._SubParsersAction))
    (page,) = (page for page in PAGES if page.name == "commands.md")
    headed = re.findall(r"^### `peftuq ([\w-]+)", page.read_text(), re.M)
    assert sorted(headed) == sorted(actions.choices)


# -- a card for every method -------------------------------------------------------------------------------

CARD = re.compile(r"^### `(\w+)`: .+\n\n(.+)\n\n((?:- .+\n)+)", re.M)
LINES = ["Computes", "When", "Cost", "Pitfalls"]


def facts(name: str) -> str:
    """The line of a method's card that follows from its declaration."""
    kind = METHODS._kinds.get(name)
    return kind_facts(kind) if kind is not None else method_facts(METHODS[name])


def method_facts(declared: Score | Predictive) -> str:
    parts = [f"Reads {declared.reads}"]
    parts += [f"needs {', '.join(declared.needs)}"] if declared.needs else []
    if isinstance(declared, Score):
        plain = [variant for variant in declared.variants if variant not in declared.probabilities]
        parts += [f"scores {', '.join(plain)}"] if plain else []
        parts += [f"probabilities of error {', '.join(declared.probabilities)}"] if declared.probabilities else []
    else:
        parts += ["named with a size"] if declared.sized else []
        parts += ["several samples" if declared.samples else "one distribution"]
    return f"*{'; '.join(parts)}.*"


def kind_facts(declared: AdapterKind) -> str:
    section = "no section of its own" if declared.section is None else f"section {declared.section}"
    return f"*A recipe's adapter with {section}; provides {', '.join(declared.provides) or 'nothing to sample from'}.*"


def test_every_plug_in_has_a_card_that_agrees_with_its_declaration():
    """A new plug-in's card: what the equation is, when it is worth it, what it costs, what goes wrong."""
    cards = CARD.findall((ROOT / "docs" / "methods.md").read_text())
    assert {name: said for name, said, _ in cards} == {name: facts(name) for name in (*METHODS.files, *METHODS._kinds)}
    assert {name: re.findall(r"^- \*\*(\w+)\*\* \S", lines, re.M) for name, _, lines in cards} == {
        name: LINES for name, *_ in cards
    }


READ = ("python", "yaml", "json", "sh", "shell", "bash", "console", "py")  # py: by the tests of `tool`


def test_every_code_block_is_of_a_language_that_is_tested():
    """Blocks of these are executed, read or looked up by the tests above; one without a language is output alone."""
    languages = {
        (page.name, language)
        for page in PAGES
        for language in re.findall(r"^```(\w*)\n.*?^```", page.read_text(), re.M | re.S)
    }
    assert not {found for found in languages if found[1] not in ("", *READ)}


@pytest.mark.parametrize("text", blocks("json"))
def test_json_that_is_shown_is_json(text):
    json.loads(text)
