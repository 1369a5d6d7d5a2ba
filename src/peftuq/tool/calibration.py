"""From a score to P(wrong): a monotone curve, fitted on rows that neither the method nor its choice has seen.

Two curves compete, by their log loss in five-fold cross-validation: logistic regression on the score's rank (as a
normal quantile, so that the score's scale does not matter), which has two parameters and serves few rows, and isotonic
regression with the limits of Laplace's rule of succession. Both are kept as knots; between them they are straight.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.stats import norm, rankdata
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

FOLDS = 5


class Curve(NamedTuple):
    """P(wrong) by linear interpolation between the knots `x`, ascending, and `y` in (0, 1); constant beyond them."""

    x: np.ndarray
    y: np.ndarray

    def __call__(self, score: np.ndarray) -> np.ndarray:
        return np.asarray(np.interp(score, self.x, self.y))


def logistic(score: np.ndarray, error: np.ndarray) -> Curve:
    """P(wrong) = σ(a q + b), q the normal quantile of the score's rank among the n rows; never falling in the score."""
    x, place = np.unique(score, return_index=True)
    quantile = norm.ppf(rankdata(score) / (len(score) + 1))
    limit = 1 / (len(score) + 2)
    rate = float(np.clip(error.mean(), limit, 1 - limit))
    constant = Curve(x, np.full(len(x), rate))
    if error.all() or not error.any():
        return constant
    fitted = LogisticRegression().fit(quantile[:, None], error)
    if fitted.coef_[0, 0] <= 0:
        return constant
    return Curve(x, np.clip(fitted.predict_proba(quantile[place][:, None])[:, 1], limit, 1 - limit))


def isotonic(score: np.ndarray, error: np.ndarray) -> Curve:
    limit = 1 / (len(score) + 2)
    fitted = IsotonicRegression(y_min=limit, y_max=1 - limit, out_of_bounds="clip").fit(score, error)
    return Curve(np.asarray(fitted.X_thresholds_, dtype=np.float64), np.asarray(fitted.y_thresholds_, dtype=np.float64))


Fit = Callable[[np.ndarray, np.ndarray], Curve]
FITS: dict[str, Fit] = {"logistic": logistic, "isotonic": isotonic}


def cross_fitted(fit: Fit, score: np.ndarray, error: np.ndarray, seed: int) -> np.ndarray:
    """P(wrong) (N,) of every row by the curve of the other folds."""
    fold = np.random.default_rng(seed).permutation(len(score)) % FOLDS
    found = np.empty(len(score))
    for held in range(FOLDS):
        found[fold == held] = fit(score[fold != held], error[fold != held])(score[fold == held])
    return found


def log_loss(p_wrong: np.ndarray, error: np.ndarray) -> float:
    """Mean of -log P(what was the case), nats."""
    return float(-np.log(np.where(error, p_wrong, 1 - p_wrong)).mean())


def choose(score: np.ndarray, error: np.ndarray, seed: int) -> tuple[str, Curve, np.ndarray]:
    """The better of the two, its curve on all rows, and its cross-fitted P(wrong) (N,)."""
    crossed = {name: cross_fitted(fit, score, error, seed) for name, fit in FITS.items()}
    best = min(crossed, key=lambda name: log_loss(crossed[name], error))
    return best, FITS[best](score, error), crossed[best]
