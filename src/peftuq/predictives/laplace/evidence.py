"""The prior's precision by the marginal likelihood of the training set, in the eigenbasis of the curvature."""

import numpy as np
from jaxtyping import Float
from scipy.optimize import minimize_scalar

BOUNDS = (1e-8, 1e8)


def log_evidence(
    precision: float, spectrum: Float[np.ndarray, " k"], log_likelihood: float, squared_norm: float
) -> float:
    """log p(D) of the Laplace approximation with prior N(0, I / `precision`) (Yang et al. 2024, eq. 12).

    log p(D | θ) - λ‖θ‖²/2 - ½ log det(F + λ) + ½ log det λ, where eigenvalues of F that `spectrum` lacks are 0 and drop
    out of the ratio of determinants.
    """
    occam = np.log1p(spectrum / precision).sum()
    return float(log_likelihood - 0.5 * precision * squared_norm - 0.5 * occam)


def best_precision(spectrum: Float[np.ndarray, " k"], squared_norm: float) -> float:
    """The precision within `BOUNDS` of largest evidence; the evidence is concave in its logarithm."""
    found = minimize_scalar(
        lambda u: -log_evidence(np.exp(u), spectrum, 0.0, squared_norm),
        bounds=np.log(BOUNDS), method="bounded", options={"xatol": 1e-9},
    )  # fmt: skip
    return float(np.exp(found.x))
