"""Verdicts on the papers' claims, gathered from the sections as one table."""

from collections.abc import Sequence
from typing import Literal, NamedTuple, get_args

from peftuq.report.intervals import UNDISTINGUISHED, Gap
from peftuq.report.tables import Column, Entry, Row, Table

Answer = Literal["holds", "holds in part", "does not hold", "cannot be said", "not run"]
HOLDS, IN_PART, FAILS, UNKNOWN, NOT_RUN = get_args(Answer)


class Checked(NamedTuple):
    """A paper's claim, the verdict of this run, and the numbers that decided it, or why there are none."""

    claim: str
    answer: Answer
    measured: str


def judged(found: Gap, claimed: Literal["lower", "higher"]) -> Answer:
    """The verdict of an interval on a claim that a difference is lower, or higher, than zero."""
    if found.side() == UNDISTINGUISHED:
        return UNKNOWN
    return HOLDS if found.side() == claimed else FAILS


def table(claims: Sequence[tuple[str, Checked]]) -> Table | None:
    """One row a claim, with the paper that it is of; None without any."""
    if not claims:
        return None
    rows = tuple(
        Row((str(number),), (Entry(one.claim), _verdict(one.answer), Entry(one.measured)), paper)
        for number, (paper, one) in enumerate(claims, start=1)
    )
    caption = (
        "A claim holds, or does not hold, where a 95 % interval (or, of the ensembles’ first claim, a tolerance) says "
        "so; else it cannot be said. The sections say how each was measured. “Not run”: this run has no task of the "
        "kind that the claim is about."
    )
    columns = (
        Column("Claim", align="left", width=4),
        Column("Verdict", align="left"),
        Column("This run found", align="left", width=7),
    )
    return Table("verdicts", "What the papers claim, and what this run found.", caption, ("",), columns, rows, "Paper")


def _verdict(answer: Answer) -> Entry:
    return Entry(answer, best=answer in (HOLDS, FAILS))
