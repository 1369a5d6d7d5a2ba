"""Whatever the documentation, the comments and the messages name exists: parameters of methods, pages, files."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from peftuq.config.methods import Methods

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
