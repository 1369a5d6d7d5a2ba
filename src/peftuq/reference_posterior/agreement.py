"""How far an approximate predictive distribution is from the exact one, and whether it is uncertain of the same."""

from typing import NamedTuple

import numpy as np
from scipy.stats import pearsonr, spearmanr


def total_variation(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """max over sets of classes A of |p(A) - q(A)| = ½ Σ_c |p_c - q_c|, in [0, 1]; p, q (…, C) → (…)."""
    return 0.5 * np.abs(p - q).sum(axis=-1)


class Agreement(NamedTuple):
    """Means over examples: `tv` and its 95 % quantile; `mi_ratio`: mean MI over the exact mean MI; correlations of MI,
    None where one of the two is the same for every example."""

    tv: float
    tv_95: float
    mi_ratio: float
    pearson: float | None
    spearman: float | None


def agreement(probs: np.ndarray, mi: np.ndarray, exact_probs: np.ndarray, exact_mi: np.ndarray) -> Agreement:
    """Agreement of predictive distributions (N, C) and mutual informations (N,) with the exact ones."""
    tv = total_variation(probs, exact_probs)
    # What is constant but for rounding has no order: a single member's MI is 0 everywhere.
    varies = min(np.ptp(mi), np.ptp(exact_mi)) > 1e-12
    return Agreement(
        tv=float(tv.mean()),
        tv_95=float(np.quantile(tv, 0.95)),
        mi_ratio=float(mi.mean() / exact_mi.mean()),
        pearson=float(pearsonr(mi, exact_mi)[0]) if varies else None,
        spearman=float(spearmanr(mi, exact_mi)[0]) if varies else None,
    )
