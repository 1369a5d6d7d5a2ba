"""The document's opening: the questions of its first page, the matrix, what can be told apart, and the verdicts."""

from collections.abc import Sequence

from peftuq.report import verdicts
from peftuq.report.answers import matrix, methods, questions, ranks
from peftuq.report.parts import Question, Section
from peftuq.report.run import Run
from peftuq.report.verdicts import NOT_RUN
from peftuq.report.words import counted


def section(run: Run, papers: Sequence[Section], absent: Sequence[str]) -> Section:
    """The summary of a run, of its papers' sections, and of the titles of those that are absent."""
    claims = [(paper.title, claim) for paper in papers for claim in paper.claims]
    asked = [question for paper in papers for question in paper.questions]
    pages = [*questions.questions(run), *asked, questions.sureness(run), _not_run(run, papers, absent)]
    items = [matrix.matrix(run), *ranks.pictures(run), verdicts.table(claims)]
    return Section("Summary", items, questions=[question for question in pages if question.answers]).filled


def _not_run(run: Run, papers: Sequence[Section], absent: Sequence[str]) -> Question:
    claims = [claim for paper in papers for claim in paper.claims]
    left = sum(claim.answer == NOT_RUN for claim in claims)
    answers = [f"Not part of this run: {', '.join(absent)}."] if absent else []
    if left:
        answers.append(
            f"Of {counted(len(claims), 'claim')} of the papers, {left} could not be checked, see the verdicts."
        )
    answers += [text for kind, some in questions.by_kind(run).items() if (text := _in_part(run, kind, some))]
    return Question("What was not run?", answers)


def _in_part(run: Run, kind: str, some: list[methods.Task]) -> str:
    every = methods.of_scores(run, some)
    whole = [m for m in every if all(methods.over(run, m, unit, "auroc").requested for unit in methods.own(some))]
    if len(whole) == len(every):
        return ""
    return (
        f"{methods.KINDS[kind]}: {len(every) - len(whole)} of {counted(len(every), 'score')} ran on some of the tasks "
        "only, and cannot lead."
    )
