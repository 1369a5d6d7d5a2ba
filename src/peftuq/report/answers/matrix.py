"""One matrix: every method on every kind of task, at home and under shift."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from peftuq.cells import PREDICTION
from peftuq.metrics.evaluate import METRICS
from peftuq.report.answers import methods
from peftuq.report.answers.leads import Leads
from peftuq.report.answers.methods import KINDS, SR, Candidate, Task, Unit
from peftuq.report.answers.questions import by_kind
from peftuq.report.declared import Block, DeclaredTable, Field
from peftuq.report.methods import FORMATS, INFORMATION, title
from peftuq.report.run import Run
from peftuq.report.tables import MISSING, NOT_REQUESTED, UNDEFINED, Column, Entry, Table
from peftuq.report.words import counted

LABELS = {"auroc": "AUROC", "ece_15": "ECE"}
HEADINGS = ("Sources of probabilities, errors by softmax response", "Scores of the adapter as trained",
            "Scores of several samples or members")  # fmt: skip


class Line(NamedTuple):
    """A row: a method, and its title under its heading."""

    method: Candidate
    title: str


def _blocks(run: Run, kinds: Mapping[str, list[Task]]) -> list[Block[Line]]:
    every = methods.of_scores(run, [task for some in kinds.values() for task in some])
    probabilities = methods.of_probabilities(run, [task for some in kinds.values() for task in some])
    sources = [Line(m._replace(variant=SR), m.probabilities) for m in probabilities]
    scores = [m for m in every if m.variant != SR]
    alone = [Line(m, _score(m)) for m in scores if m.variant not in INFORMATION and m.predictive == "point"]
    several = [Line(m, _score(m)) for m in scores if m.predictive != "point" or m.variant in INFORMATION]
    leads = Leads(run)
    fields = [field for kind, some in kinds.items() for field in _fields(leads, kind, some)]
    return [Block(rows, [fields], heading) for heading, rows in zip(HEADINGS, (sources, alone, several), strict=True)]


def _score(method: Candidate) -> str:
    return f"{title(f'point/{method.variant}')} · {method.probabilities}"


def _fields(leads: Leads, kind: str, some: list[Task]) -> list[Field[Line]]:
    places = {"": methods.own(some), "shift ": methods.shifted(leads.run, some)}
    group = f"{KINDS[kind]}, {counted(len(some), 'task')}"
    return [
        _field(leads, metric, units, Column(f"{where}{label}".strip(), group))
        for where, units in places.items()
        if units
        for metric, label in LABELS.items()
    ]


def _field(leads: Leads, metric: str, units: Sequence[Unit], column: Column) -> Field[Line]:
    plain = Candidate(units[0].task.plain, "point", SR)

    def entry(line: Line) -> Entry:
        if metric != "auroc" and line.method.variant != SR:
            return Entry(NOT_REQUESTED)
        asked = [_of(line.method, metric), _of(plain, metric)]
        found = [methods.over(leads.run, asked[0], unit, metric) for unit in units]
        means = [over.mean for over in found]
        there = sum(mean is not None for mean in means)
        if not there:
            requested = [over for over in found if over.requested]
            if not requested:
                return Entry(NOT_REQUESTED)
            return Entry(UNDEFINED if any(over.undefined for over in requested) else MISSING, note=requested[0].note)
        note = f"on {there} of {len(units)} evaluation sets" if there < len(units) else ""
        both = [unit for unit in units if all(methods.over(leads.run, one, unit, metric).values for one in asked)]
        form, gap = FORMATS[metric], leads.between(*asked, both, metric)
        better = gap is not None and asked[0] != asked[1] and gap.side() == METRICS[metric]["better"]
        value = form.scale * (leads.mean(asked[0], units, metric) or 0.0)
        return Entry(value=value, decimals=form.decimals, best=better, note=note)

    return Field(column, entry)


def _of(method: Candidate, metric: str) -> Candidate:
    return method if metric == "auroc" else method._replace(variant=PREDICTION)


MATRIX = DeclaredTable[Mapping[str, list[Task]], Line](
    "summary_matrix",
    "Every method on every kind of task.",
    "Error-AUROC ×100 (50 is chance, higher is better) and ECE of 15 bins in per cent (lower is better), means over "
    "tasks of means over seeds; “shift”: over the tasks’ shift sets that have labels. Bold: better than plain LoRA’s "
    "own softmax by a 95 % interval that leaves out zero (of AUROC on one set the paired bootstrap’s; else Student’s, "
    "over sets or seeds, of at least three); where nothing is bold nothing can be told apart. Rows on fewer sets than "
    "others do not compare. Entropy, margin and AdUE’s ablations stand in the papers’ sections and the appendix.",
    ("Method",),
    _blocks,
    "Kind of method",
    widest=8,
)


def matrix(run: Run) -> Table | None:
    """The matrix of a run."""
    return MATRIX(run, by_kind(run))
