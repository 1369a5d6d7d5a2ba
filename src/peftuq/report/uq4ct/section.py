"""The report's section on UQ4CT (Niu et al., arXiv 2410.06431): calibrated fine-tuning of mixtures of LoRA experts."""

from peftuq.report.parts import Section
from peftuq.report.run import Run
from peftuq.report.uq4ct import ablations, beyond, cost, findings, paper, pictures
from peftuq.report.uq4ct.recipes import casts

KEY = "uq4ct"  # in a suite's `sections`

READING = (
    "A cell is one model on one dataset; on it several recipes and sources of probabilities are compared. ECE is the "
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


def section(run: Run) -> Section | None:
    """None where no suite of the run feeds this section."""
    found = casts(run, KEY)
    if not found:
        return None
    swept = ablations.tables(run, found)
    parts = [
        Section(
            "Calibration in distribution",
            [
                paper.in_distribution(run, found),
                paper.classification(run, found),
                *pictures.figure3(run, found),
                paper.spuq(run, found),
                beyond.measures(run, found),
                beyond.recipes(run, found),
            ],
        ),
        Section("Under shift", [paper.shifts(run, found), *pictures.shifts(run, found)]),
        Section(
            "Ablations",
            [
                swept.get("beta"),
                paper.incremental(run, found),
                *(table for key, table in swept.items() if key != "beta"),
                *pictures.sweeps(run, found),
            ],
        ),
        Section("FLU as a confidence", [beyond.flu(run, found), *pictures.flu_reliability(run, found)]),
        Section("Cost", [cost.table(run, found)]),
        Section("Crossed with the other papers", [beyond.crossed(run, found)]),
    ]
    return Section("UQ4CT", [READING, GAPS, *parts], findings.findings(run, found)).filled
