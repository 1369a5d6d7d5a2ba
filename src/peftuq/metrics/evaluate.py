"""The metrics of one cell and seed: what METRICS names, from a prediction, a score or a shifted set.

A metric that is undefined (see the column; and every metric of no examples or of inputs with a NaN) is None,
never NaN and never an exception.
"""

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from peftuq.labels import UNLABELLED
from peftuq.metrics import calibration as cal
from peftuq.metrics import conformal, detection, risk_control, selective

# of: the function below that reports it, <of>_metrics; better: "higher", "lower" or (a coverage) "nominal".
# fmt: off
METRICS = {
    "accuracy": {"of": "prediction", "range": "[0, 1]", "better": "higher", "undefined": "",
        "meaning": "share of examples whose arg-max is the label"},
    "nll": {"of": "prediction", "range": "[0, 36.05]", "better": "lower", "undefined": "",
        "meaning": "mean negative log-probability of the label (nats, p clipped at 2.2e-16)"},
    "brier": {"of": "prediction", "range": "[0, 2]", "better": "lower", "undefined": "",
        "meaning": "mean squared distance to the one-hot label, summed over classes"},
    "ece_15": {"of": "prediction", "range": "[0, 1]", "better": "lower", "undefined": "",
        "meaning": "expected calibration error, 15 equal-width bins"},
    "ece_10": {"of": "prediction", "range": "[0, 1]", "better": "lower", "undefined": "",
        "meaning": "expected calibration error, 10 equal-width bins"},
    "adaptive_ece": {"of": "prediction", "range": "[0, 1]", "better": "lower", "undefined": "",
        "meaning": "expected calibration error, 15 bins of equal mass"},
    "classwise_ece": {"of": "prediction", "range": "[0, 1]", "better": "lower", "undefined": "",
        "meaning": "mean over classes of the calibration error of p(class), 15 equal-width bins"},
    "lac_coverage": {"of": "prediction", "range": "[0, 1]", "better": "nominal", "undefined": "no valid part",
        "meaning": "share of labels inside the LAC conformal sets; nominal 0.9"},
    "lac_set_size": {"of": "prediction", "range": "[0, C]", "better": "lower", "undefined": "no valid part",
        "meaning": "mean size of the LAC conformal sets at 90 %"},
    "aps_coverage": {"of": "prediction", "range": "[0, 1]", "better": "nominal", "undefined": "no valid part",
        "meaning": "share of labels inside the (exclusive) APS conformal sets; nominal 0.9, more if accuracy is"},
    "aps_set_size": {"of": "prediction", "range": "[1, C]", "better": "lower", "undefined": "no valid part",
        "meaning": "mean size of the APS conformal sets at 90 % (exclusive: never empty)"},
    "aps_inclusive_coverage": {"of": "prediction", "range": "[0, 1]", "better": "nominal", "undefined": "no valid part",
        "meaning": "share of labels inside the inclusive APS conformal sets; nominal 0.9"},
    "aps_inclusive_set_size": {"of": "prediction", "range": "[0, C]", "better": "lower", "undefined": "no valid part",
        "meaning": "mean size of the APS conformal sets at 90 %, an option's own mass included"},
    "raps_coverage": {"of": "prediction", "range": "[0, 1]", "better": "nominal", "undefined": "no valid part",
        "meaning": "share of labels inside the RAPS conformal sets; nominal 0.9, more if accuracy is"},
    "raps_set_size": {"of": "prediction", "range": "[1, C]", "better": "lower", "undefined": "no valid part",
        "meaning": "mean size of the RAPS conformal sets at 90 %: APS with 0.1 for every option beyond the first"},
    "uacc_lac": {"of": "prediction", "range": "[0, inf)", "better": "higher", "undefined": "no valid part, all empty",
        "meaning": "accuracy over the mean size of the LAC conformal sets, times the root of C"},
    "uacc_aps": {"of": "prediction", "range": "[0, inf)", "better": "higher", "undefined": "no valid part, all empty",
        "meaning": "accuracy over the mean size of the inclusive APS conformal sets, times the root of C"},
    "risk_control_answered": {"of": "prediction", "range": "[0, 1]", "better": "higher", "undefined": "no valid part",
        "meaning": "share answered where valid shows with 90 % confidence that at most 10 % of the answers are wrong"},
    "risk_control_error": {"of": "prediction", "range": "[0, 1]", "better": "lower", "undefined": "no valid part",
        "meaning": "error rate of the answers under risk control, 0 without any; at most 0.1 in 90 % of draws"},
    "auroc": {"of": "score", "range": "[0, 1]", "better": "higher", "undefined": "all wrong or all right",
        "meaning": "error detection: P(an error scores higher than a correct prediction), ties half"},
    "aupr": {"of": "score", "range": "(0, 1]", "better": "higher", "undefined": "all right",
        "meaning": "error detection: average precision, errors positive"},
    "aurc": {"of": "score", "range": "[0, 1]", "better": "lower", "undefined": "",
        "meaning": "area under the risk-coverage curve"},
    "eaurc": {"of": "score", "range": "[0, 1)", "better": "lower", "undefined": "",
        "meaning": "AURC in excess of the optimal order's"},
    "augrc": {"of": "score", "range": "[0, 0.5]", "better": "lower", "undefined": "",
        "meaning": "area under the generalised risk-coverage curve"},
    "accuracy_50": {"of": "score", "range": "[0, 1]", "better": "higher", "undefined": "",
        "meaning": "accuracy on the 50 % of examples with the lowest scores"},
    "accuracy_80": {"of": "score", "range": "[0, 1]", "better": "higher", "undefined": "",
        "meaning": "accuracy on the 80 % of examples with the lowest scores"},
    "accuracy_90": {"of": "score", "range": "[0, 1]", "better": "higher", "undefined": "",
        "meaning": "accuracy on the 90 % of examples with the lowest scores"},
    "risk_80": {"of": "score", "range": "[0, 1]", "better": "lower", "undefined": "",
        "meaning": "error rate on the 80 % of examples with the lowest scores"},
    "prr": {"of": "score", "range": "(-inf, 1]", "better": "higher", "undefined": "all wrong or all right",
        "meaning": "prediction rejection ratio: 1 optimal order, 0 random order"},
    "error_nll": {"of": "probability", "range": "[0, 36.05]", "better": "lower", "undefined": "",
        "meaning": "mean negative log-probability that U gives to being wrong or right (nats)"},
    "error_brier": {"of": "probability", "range": "[0, 1]", "better": "lower", "undefined": "",
        "meaning": "mean (U - error)^2"},
    "error_ece_15": {"of": "probability", "range": "[0, 1]", "better": "lower", "undefined": "",
        "meaning": "calibration error of the confidence 1 - U, 15 equal-width bins"},
    "error_ece_10": {"of": "probability", "range": "[0, 1]", "better": "lower", "undefined": "",
        "meaning": "calibration error of the confidence 1 - U, 10 equal-width bins"},
    "ood_auroc": {"of": "shift", "range": "[0, 1]", "better": "higher", "undefined": "",
        "meaning": "P(a shifted example scores higher than an in-distribution one), ties half"},
    "ood_fpr95": {"of": "shift", "range": "[0, 1]", "better": "lower", "undefined": "",
        "meaning": "share of in-distribution examples flagged where 95 % of the shifted ones are"},
}
# fmt: on

_SCORE: dict[str, Callable[..., float]] = {
    "auroc": detection.auroc,
    "aupr": detection.aupr,
    "aurc": selective.aurc,
    "eaurc": selective.eaurc,
    "augrc": selective.augrc,
    "accuracy_50": partial(selective.accuracy_at_coverage, coverage=0.5),
    "accuracy_80": partial(selective.accuracy_at_coverage, coverage=0.8),
    "accuracy_90": partial(selective.accuracy_at_coverage, coverage=0.9),
    "risk_80": partial(selective.risk_at_coverage, coverage=0.8),
    "prr": selective.prr,
}


def _of_arg_max(metric: Callable[..., float], bins: int) -> Callable[..., float]:
    return lambda probs, label: metric(probs.max(axis=1), probs.argmax(axis=1) == label, bins)


_PREDICTION: dict[str, Callable[..., float]] = {
    "accuracy": cal.accuracy,
    "nll": cal.nll,
    "brier": cal.brier,
    "ece_15": _of_arg_max(cal.ece, 15),
    "ece_10": _of_arg_max(cal.ece, 10),
    "adaptive_ece": _of_arg_max(cal.adaptive_ece, 15),
    "classwise_ece": cal.classwise_ece,
}

_PROBABILITY: dict[str, Callable[..., float]] = {
    "error_nll": lambda u, error: cal.nll(np.stack([1 - u, u], axis=1), error.astype(np.int64)),
    "error_brier": lambda u, error: float(np.mean((u - error) ** 2)),
    "error_ece_15": lambda u, error: cal.ece(1 - u, ~error, 15),
    "error_ece_10": lambda u, error: cal.ece(1 - u, ~error, 10),
}

_SHIFT: dict[str, Callable[..., float]] = {"ood_auroc": detection.auroc, "ood_fpr95": detection.fpr95}


def _coverage(nonconformity: conformal.Nonconformity, probs, label, *valid) -> float:
    return conformal.coverage(conformal.prediction_sets(nonconformity, valid, probs), label)


def _set_size(nonconformity: conformal.Nonconformity, probs, label, *valid) -> float:
    return conformal.mean_set_size(conformal.prediction_sets(nonconformity, valid, probs))


def _uacc(nonconformity: conformal.Nonconformity, probs, label, *valid) -> float:
    sets = conformal.prediction_sets(nonconformity, valid, probs)
    return conformal.uacc(sets, cal.accuracy(probs, label))


def _risk_controlled(metric: Callable[..., float], probs, label, valid_probs, valid_label) -> float:
    """A metric of the answers whose softmax response, 1 - max p, is below the limit that the valid part allows."""

    def scored(p: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        # Summed over the others: 1 - max rounds the most confident examples to a tie at 0.
        return np.sort(p, axis=1)[:, :-1].sum(axis=1), p.argmax(axis=1) != y

    return metric(*scored(probs, label), risk_control.answer_threshold(*scored(valid_probs, valid_label)))


_CONFORMAL: dict[str, Callable[..., float]] = {
    "lac_coverage": partial(_coverage, conformal.lac),
    "lac_set_size": partial(_set_size, conformal.lac),
    "aps_coverage": partial(_coverage, conformal.aps),
    "aps_set_size": partial(_set_size, conformal.aps),
    "aps_inclusive_coverage": partial(_coverage, conformal.aps_inclusive),
    "aps_inclusive_set_size": partial(_set_size, conformal.aps_inclusive),
    "raps_coverage": partial(_coverage, conformal.raps),
    "raps_set_size": partial(_set_size, conformal.raps),
    "uacc_lac": partial(_uacc, conformal.lac),
    "uacc_aps": partial(_uacc, conformal.aps_inclusive),
    "risk_control_answered": partial(_risk_controlled, lambda score, error, limit: risk_control.answered(score, limit)),
    "risk_control_error": partial(_risk_controlled, risk_control.answered_error),
}


def function(metric: str) -> Callable[[np.ndarray, np.ndarray], float]:
    """One metric alone: of a prediction, of (probs (N, C), label (N,)); else of (score (N,), error (N,)).

    Raises `ArithmeticError` where it is undefined, and `KeyError` for one that needs more than these.
    """
    return {**_PREDICTION, **_SCORE, **_PROBABILITY}[metric]


def prediction_metrics(
    probs: np.ndarray, label: np.ndarray, calibration: tuple[np.ndarray, np.ndarray] | None = None
) -> dict[str, float | None]:
    """Metrics of a predictive distribution: `probs` (N, C) rows summing to 1, `label` int (N,).

    `calibration` = (probs (n, C), label (n,)) of the valid part adds the conformal metrics; without it they
    are absent.
    """
    probs = np.asarray(probs, dtype=np.float64)
    values = _values(_PREDICTION, probs, label)
    if calibration is not None:
        valid_probs, valid_label = calibration
        values |= _values(_CONFORMAL, probs, label, np.asarray(valid_probs, dtype=np.float64), valid_label)
    return values


def unlabelled_metrics(probs: np.ndarray, calibration: tuple[np.ndarray, np.ndarray]) -> dict[str, float | None]:
    """Those of `prediction_metrics` that need no label of the examples: sizes of conformal sets, the share answered."""
    sizes = {name: metric for name, metric in _CONFORMAL.items() if not needs_label(name)}
    valid_probs, valid_label = calibration
    probs, valid_probs = (np.asarray(p, dtype=np.float64) for p in (probs, valid_probs))
    no_label = np.full(len(probs), UNLABELLED)
    return _values(sizes, probs, no_label, valid_probs, valid_label)


def needs_label(metric: str) -> bool:
    """True for a metric of METRICS that tells right from wrong on the set that it is of."""
    return METRICS[metric]["of"] != "shift" and not metric.endswith(("_set_size", "_answered"))


def score_metrics(score: np.ndarray, error: np.ndarray) -> dict[str, float | None]:
    """Metrics of any uncertainty score (N,), higher = more likely wrong, against `error` bool (N,)."""
    return _values(_SCORE, score, np.asarray(error, dtype=bool))


def probability_metrics(score: np.ndarray, error: np.ndarray) -> dict[str, float | None]:
    """Metrics of a score (N,) that IS a probability of error U in [0, 1] (AdUE, softmax response, 1 - FLU).

    Raises `ValueError` for a score outside [0, 1] by more than rounding.
    """
    score = np.asarray(score, dtype=np.float64)
    if ((score < -1e-6) | (score > 1 + 1e-6)).any():
        raise ValueError(f"not a probability of error: values from {score.min():g} to {score.max():g}")
    return _values(_PROBABILITY, score, np.asarray(error, dtype=bool))


def shift_metrics(score: np.ndarray, shifted_score: np.ndarray) -> dict[str, float | None]:
    """How well one score separates in-distribution test examples (N,) from those of a shifted set (S,)."""
    shifted = np.repeat([False, True], [len(score), len(shifted_score)])
    return _values(_SHIFT, np.concatenate([score, shifted_score]), shifted)


def _values(metrics: Mapping[str, Callable[..., float]], *arrays: np.ndarray) -> dict[str, float | None]:
    if any(len(array) == 0 or np.isnan(array).any() for array in arrays):
        return dict.fromkeys(metrics)
    return {name: _defined(metric, *arrays) for name, metric in metrics.items()}


def _defined(metric: Callable[..., float], *arrays: np.ndarray) -> float | None:
    try:
        return metric(*arrays)
    except ArithmeticError:
        return None
