"""The rows that one job adds to the long table: (eval, method, metric, value)."""

from collections.abc import Mapping, Sequence

from peftuq.artifacts import SampleFile, Scores
from peftuq.cells import PREDICTION
from peftuq.metrics import evaluate

Row = dict[str, str | float | None]


def prediction_rows(samples: SampleFile, evals: Sequence[str], calibrated_on: str | None = "valid") -> list[Row]:
    """Metrics of the mean predictive distribution on each evaluation set.

    Conformal sets are calibrated on the part `calibrated_on`, and left out without one; of a set without labels they
    are all that is measured, by their size. `answer_mass` (choice tasks): the mean probability that the
    whole vocabulary gives to the answer tokens.
    """
    valid = None if calibrated_on is None else samples[calibrated_on]
    calibration = None if valid is None else (valid.mean, valid.label)
    rows: list[Row] = []
    for part in evals:
        sample = samples[part]
        metrics: dict[str, float | None] = {}
        if sample.labelled:
            metrics |= evaluate.prediction_metrics(sample.mean, sample.label, calibration)
        elif calibration is not None:
            metrics |= evaluate.unlabelled_metrics(sample.mean, calibration)
        metrics["examples"] = float(len(sample.id))
        if (mass := samples.answer_mass(part)) is not None:
            metrics["answer_mass"] = float(mass.mean())
        rows += _rows(part, PREDICTION, metrics)
    return rows


def score_rows(scores: Scores, evals: Sequence[str], probabilities: Sequence[str]) -> list[Row]:
    """Metrics of each variant on each evaluation set; the first set is the in-distribution one of shift metrics.

    `probabilities` names the variants that are themselves a probability of error. A shift set without labels is only
    told apart from the first.
    """
    inside = scores.on(evals[0])
    rows: list[Row] = []
    for part in evals:
        here = scores.on(part)
        for variant, values in here.variants.items():
            metrics: dict[str, float | None] = {}
            if here.labelled:
                metrics |= evaluate.score_metrics(values, here.error)
            if here.labelled and variant in probabilities:
                metrics |= evaluate.probability_metrics(values, here.error)
            if part != evals[0]:
                metrics |= evaluate.shift_metrics(inside.variants[variant], values)
            rows += _rows(part, variant, metrics)
    return rows


def _rows(part: str, method: str, metrics: Mapping[str, float | None]) -> list[Row]:
    return [{"eval": part, "method": method, "metric": name, "value": value} for name, value in metrics.items()]
