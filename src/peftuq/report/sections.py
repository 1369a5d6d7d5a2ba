"""The papers' sections: declared in `<paper>/section.py`, and found by that file."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Generic, TypeVar

from peftuq import report
from peftuq.cells import Setting
from peftuq.report.parts import Picture, Section
from peftuq.report.run import Run
from peftuq.report.tables import Table

S = TypeVar("S")
Item = str | Table | Picture | Section | None
Maker = Callable[[Run, S], Item | Iterable[Item]]


@dataclass(frozen=True)
class PaperSection(Generic[S]):
    """The report's section on one paper, in a run one of whose suites lists `key` among its `sections`.

    `subject` makes of the run and its settings what every table, figure and finding is made from; `parts` are titles
    with what stands under them, in order: a maker that has nothing to show returns None or nothing. `findings` are
    sentences for the document's first page.
    """

    key: str
    title: str
    reading: tuple[str, ...]  # paragraphs on how to read the section
    parts: Mapping[str, Sequence[Maker[S]]]
    findings: Callable[[Run, S], list[str]]
    subject: Callable[[Run, list[Setting]], S]

    def build(self, run: Run) -> Section | None:
        """The section of a run; None where no suite feeds it."""
        settings = run.settings(self.key)
        if not settings:
            return None
        subject = self.subject(run, settings)
        parts = [
            Section(title, [item for maker in makers for item in _items(maker(run, subject))])
            for title, makers in self.parts.items()
        ]
        return Section(self.title, [*self.reading, *parts], self.findings(run, subject)).filled


def _items(made: Item | Iterable[Item]) -> list[Item]:
    return [made] if made is None or isinstance(made, str | Table | Picture | Section) else list(made)


def declared() -> list[PaperSection]:
    """Every paper's section, in the order of the papers' names."""
    names = sorted(file.parent.name for folder in report.__path__ for file in Path(folder).glob("*/section.py"))
    return [import_module(f"peftuq.report.{name}.section").SECTION for name in names]
