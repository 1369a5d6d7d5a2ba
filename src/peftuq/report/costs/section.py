"""The report's section on cost: parameters, time and memory of every method, beside its quality."""

from peftuq.report.costs import pictures, tables
from peftuq.report.costs.groups import groups
from peftuq.report.sections import PaperSection

READING = (
    "A method’s cost is the sum of those of its adapter and source of probabilities (the first table), and of its "
    "score (the second). Counts are the same in every run. Times and memory were measured by the jobs themselves, and "
    "compare only where they ran on the same machines, each alone on its part of them; see the table of trainings. "
    "They are no part of the metrics, which are the same bytes however long they took."
)

SECTION = PaperSection(
    title="Cost",
    reading=(READING,),
    parts={"Cost of each method": [tables.predictives, tables.scores], "Quality and cost": [pictures.pictures]},
    findings=pictures.findings,
    subject=groups,
    question="At what cost?",
)
