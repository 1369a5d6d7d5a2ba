"""The parts of a document: sections of paragraphs, tables, figures and further sections."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Union

from peftuq.report.tables import Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Picture:
    """One drawn figure: `name` is the name of its files, `title` what it shows, `caption` how to read it."""

    name: str
    title: str
    caption: str
    figure: "Figure"


@dataclass(frozen=True)
class Section:
    """`findings`: sentences computed from the run, for the document's first page."""

    title: str
    items: list[Union[str, Table, Picture, "Section", None]] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)

    @property
    def filled(self) -> "Section":
        """The section without what is empty: items that are None, and sections that are then empty."""
        inner = [item.filled if isinstance(item, Section) else item for item in self.items if item is not None]
        kept = [item for item in inner if not isinstance(item, Section) or item.items]
        return Section(self.title, kept, self.findings)

    def all(self) -> Iterator[Table | Picture]:
        """The tables and pictures of the section and of those inside it, in their order."""
        for item in self.items:
            if isinstance(item, Section):
                yield from item.all()
            elif not isinstance(item, str):
                yield item
