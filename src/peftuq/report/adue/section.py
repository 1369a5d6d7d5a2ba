"""The report's section on AdUE (Zabolotnyi et al., arXiv 2505.15443)."""

from peftuq.report.adue import (
    calibration,
    claims,
    findings,
    paper,
    pictures,
    rivals,
    scores,
    search,
    selective,
    sensitivity,
)
from peftuq.report.sections import PaperSection

READING = (
    "A setting is one model, adapted by one recipe to one dataset and trained once for each seed. Numbers are means "
    "over the seeds ± the sample standard deviation (ddof = 1; none where there is one seed), always over all test "
    "examples. Methods: RMD, MD and RDE are the relative Mahalanobis, Mahalanobis and robust density distances of "
    "the representation (“L2”: normalised to length 1, as in the paper’s Table 1), SR the softmax response 1 − max "
    "p, AdUE the fine-tuned head. Error-AUROC is the probability that a wrong prediction has a higher score than a "
    "right one, ×100: 50 is chance. The paper does not say how its standard deviations are divided."
)
GAPS = (
    "A dash is a number that the run was not asked for. A number that it was asked for and does not have is printed "
    "as “missing” or, where the test set allows none, as “undefined”, with the reason in a footnote. Ranks share "
    "ties, and are taken over the settings in which every method has a value."
)


SECTION = PaperSection(
    title="AdUE",
    reading=(READING, GAPS),
    parts={
        "Error detection: the paper’s tables": [*paper.TABLES, pictures.ranks_figures, pictures.aurocs_figures],
        "Which score, which λ": [
            rivals.BASELINE,
            rivals.BEST,
            scores.SOFTMAX,
            scores.LAMBDAS,
            search.SEARCH,
            sensitivity.sensitivity,
        ],
        "Calibration": [calibration.calibration, pictures.reliability_figures],
        "Selective prediction": [pictures.coverage_figures],
    },
    appendix={
        "Error detection by every score": paper.EVERY_SCORE,
        "Scores as probabilities of error": [calibration.ERROR_CALIBRATION],
        "Selective prediction": [selective.SELECTIVE],
        "Shift and prediction sets": [selective.SHIFTS, calibration.CONFORMAL],
    },
    findings=findings.findings,
    claims=claims.claims,
    subject=lambda run, settings: settings,
)
