"""The report's section on UQ4CT (Niu et al., arXiv 2410.06431): calibrated fine-tuning of mixtures of LoRA experts."""

from peftuq.report.sections import PaperSection
from peftuq.report.uq4ct import ablations, claims, cost, findings, further_tables, paper, pictures
from peftuq.report.uq4ct.recipes import tasks

READING = (
    "A task is one model on one dataset; on it several recipes and sources of probabilities are compared. ECE is the "
    "expected calibration error of the predicted answer’s probability, 15 bins of equal width, as in the paper (its "
    "A.7). FLU, functional-level uncertainty, is the routers’ probability of the active experts, a mean over the "
    "blocks (its eq. 12): despite its name, high where the model should be right. The paper leaves open over which "
    "tokens it is taken: all of the prompt’s (mean, here the default) or the last one."
)
GAPS = (
    "Numbers are means over the seeds ± the sample standard deviation. A dash: neither this run nor the paper has the "
    "number; “not run”: the paper has it, this run was not asked for it; “missing” and “undefined” were asked for, a "
    "footnote says why they are not there."
)


SECTION = PaperSection(
    title="UQ4CT",
    reading=(READING, GAPS),
    parts={
        "Calibration in distribution": [
            paper.IN_DISTRIBUTION_TABLE,
            paper.CLASSIFICATION,
            pictures.figure3,
            paper.SPUQ,
            further_tables.MEASURES_TABLE,
            further_tables.RECIPES,
        ],
        "Under shift": [paper.SHIFTS, pictures.shifts],
        "Ablations": [
            ablations.BETA,
            paper.INCREMENTAL,
            ablations.TOP_K,
            ablations.EXPERTS,
            ablations.MEMBERS,
            pictures.sweeps,
        ],
        "FLU as a confidence": [further_tables.FLU_TABLE, pictures.flu_reliability],
        "Cost": [cost.table],
        "Crossed with the other papers": [further_tables.CROSSED_TABLE],
    },
    findings=findings.findings,
    claims=claims.claims,
    subject=tasks,
)
