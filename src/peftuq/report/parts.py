"""The parts of a document: sections of paragraphs, tables, figures and further sections."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple, Union

from peftuq.report.tables import Table
from peftuq.report.verdicts import Checked

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Picture:
    """One drawn figure: `name` is the name of its files, `title` what it shows, `caption` how to read it."""

    name: str
    title: str
    caption: str
    figure: "Figure"


class Question(NamedTuple):
    """A question of the document's first page, and the sentences that answer it."""

    title: str
    answers: list[str]


@dataclass(frozen=True)
class Section:
    """`findings`: sentences computed from the run, which open the section; `claims`: of the section's paper, judged.

    `questions` stand on the document's first page; `appendix`: what stands at the document's end.
    """

    title: str
    items: list[Union[str, Table, Picture, "Section", None]] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    claims: list[Checked] = field(default_factory=list)
    questions: list[Question] = field(default_factory=list)
    appendix: list["Section"] = field(default_factory=list)

    @property
    def filled(self) -> "Section":
        """The section without what is empty: items that are None, and sections that are then empty."""
        inner = [item.filled if isinstance(item, Section) else item for item in self.items if item is not None]
        kept = [item for item in inner if not isinstance(item, Section) or item.items]
        behind = [section for one in self.appendix if (section := one.filled).items]
        return replace(self, items=kept, appendix=behind)

    def all(self) -> Iterator[Table | Picture]:
        """The tables and pictures of the section and of those inside it, in their order."""
        for item in (*self.items, *self.appendix):
            if isinstance(item, Section):
                yield from item.all()
            elif not isinstance(item, str):
                yield item
