"""The papers' sections: declared in `<paper>/section.py`, and found by that file."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Generic, TypeVar

from peftuq import report
from peftuq.cells import Setting
from peftuq.report.parts import Picture, Question, Section
from peftuq.report.run import Run
from peftuq.report.tables import Table
from peftuq.report.verdicts import Checked

S = TypeVar("S")
Item = str | Table | Picture | Section | None
Maker = Callable[[Run, S], Item | Iterable[Item]]


@dataclass(frozen=True)
class PaperSection(Generic[S]):
    """The report's section on one paper: of runs with a suite that lists the paper's folder among its `sections`.

    `subject` makes of the run and its settings what every table, figure and finding is made from; `parts` are titles
    with what stands under them, in order: a maker that has nothing to show returns None or nothing; those of the
    `appendix`, tables of every method in every cell, stand at the document's end. `findings` are sentences that open
    the section, or answer a `question` of the document's first page; `claims`: the paper's, judged.
    """

    title: str
    reading: tuple[str, ...]  # paragraphs on how to read the section
    parts: Mapping[str, Sequence[Maker[S]]]
    subject: Callable[[Run, list[Setting]], S]
    findings: Callable[[Run, S], list[str]] = lambda run, subject: []
    claims: Callable[[Run, S], list[Checked]] = lambda run, subject: []
    appendix: Mapping[str, Sequence[Maker[S]]] = field(default_factory=dict)
    question: str = ""

    def build(self, run: Run, paper: str) -> Section | None:
        """The section of a run; None where no suite lists the paper."""
        settings = run.settings(paper)
        if not settings:
            return None
        subject = self.subject(run, settings)
        parts, behind = (
            [
                Section(title, [item for maker in makers for item in _items(maker(run, subject))])
                for title, makers in some.items()
            ]
            for some in (self.parts, self.appendix)
        )
        findings, questions = self.findings(run, subject), []
        if self.question and findings:
            findings, questions = [], [Question(self.question, findings)]
        claims = self.claims(run, subject)
        return Section(self.title, [*self.reading, *parts], findings, claims, questions, behind).filled


def _items(made: Item | Iterable[Item]) -> list[Item]:
    return [made] if made is None or isinstance(made, str | Table | Picture | Section) else list(made)


def declared() -> dict[str, PaperSection]:
    """Every paper's section by the name of its folder, in the order of these names."""
    names = sorted(file.parent.name for folder in report.__path__ for file in Path(folder).glob("*/section.py"))
    return {name: import_module(f"peftuq.report.{name}.section").SECTION for name in names}
