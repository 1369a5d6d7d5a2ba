"""An adapter's Laplace approximation from end to end: curvature, both prior precisions, Gaussian logits by part."""

from collections.abc import Mapping

import numpy as np

from peftuq.models.batching import Encoded
from peftuq.models.readout import ReadOut
from peftuq.predictives.laplace import evidence, kfac, predictive
from peftuq.predictives.laplace.file import PRIORS, GaussianLogits
from peftuq.predictives.laplace.layers import layers_of
from peftuq.predictives.laplace.link import monte_carlo
from peftuq.progress import Log, Progress
from peftuq.specs.adapted import LaplaceParameters

SELECTION_DRAWS = 1000  # logit samples for a validation NLL, the same for every precision of the grid


def validation_nll(f_mu: np.ndarray, f_sigma: np.ndarray, label: np.ndarray, seed: int) -> float:
    """Mean NLL (nats) of the Monte-Carlo predictive distribution."""
    probs = monte_carlo(f_mu, f_sigma, SELECTION_DRAWS, seed).mean(axis=0)
    return float(-np.log(probs[np.arange(len(label)), label].clip(min=1e-300)).mean())


def fit(
    model: ReadOut,
    train: Encoded,
    evals: Mapping[str, Encoded],
    execution: kfac.Execution,
    params: LaplaceParameters,
    seed: int,
    log: Log,
) -> tuple[dict[str, GaussianLogits], dict[str, object]]:
    """Gaussian logits of every part of `evals`, which must hold `valid`, and the facts of the fit.

    The model is left in evaluation mode with frozen weights.
    """
    model.eval().requires_grad_(False)
    layers = layers_of(model, params.head)
    progress = Progress(log, "curvature", len(train), "examples")
    shape = (params.positions, params.rank, params.exact_below)
    curvature = kfac.fit(model, layers, train, execution, *shape, progress)
    spectrum = curvature.spectrum.cpu().numpy()
    best = evidence.best_precision(spectrum, curvature.squared_norm)

    lowest, highest, number = params.grid
    grid = np.logspace(lowest, highest, number).tolist()
    progress = Progress(log, "predictive", sum(map(len, evals.values())), "examples")
    valid = evals["valid"]
    f_mu, f_sigma = predictive.distribution(model, layers, valid, execution, curvature, [best, *grid], progress)
    nlls = [validation_nll(f_mu, sigma, valid.label, seed) for sigma in f_sigma]
    chosen = 1 + int(np.argmin(nlls[1:]))
    gaussians = {"valid": _part(valid, f_mu, f_sigma[[0, chosen]])}
    precisions = [best, grid[chosen - 1]]
    for part, data in evals.items():
        if part != "valid":
            args = (model, layers, data, execution, curvature, precisions, progress)
            gaussians[part] = _part(data, *predictive.distribution(*args))
    facts = {
        "precision": dict(zip(PRIORS, precisions, strict=True)),
        "log_evidence": evidence.log_evidence(best, spectrum, curvature.log_likelihood, curvature.squared_norm),
        "log_likelihood": curvature.log_likelihood,
        "squared_norm": curvature.squared_norm,
        "valid_nll": {"marglik": nlls[0], "valid": nlls[chosen]},
        "grid_nll": dict(zip(map(repr, grid), nlls[1:], strict=True)),
    }
    return gaussians, facts


def _part(data: Encoded, f_mu: np.ndarray, f_sigma: np.ndarray) -> GaussianLogits:
    return GaussianLogits(data.id, data.label, f_mu, dict(zip(PRIORS, f_sigma, strict=True)))
